"""Two-groups model of names: they are fitted apart from text, where there are enough of them."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_autoassist.features.agreement.twogroups import GRID, TwoGroups
from tests.support.drawn import COUNT, SHARES, Drawn


class Names(Drawn):
    """Text, and a half of names: those that are junk share a prefix in four of ten pairs."""

    def __init__(self, share: float) -> None:
        super().__init__(share)
        names = COUNT // 2
        self.names[:names] = True
        for gains, junk in zip(self.gains, (self.junk, np.ones(COUNT, bool))):
            prefix = self.rng.random(COUNT) < 0.4
            floor = -1.6 + 0.05 * self._normal(COUNT)
            bad = np.where(prefix, 2.0 + 0.6 * self._normal(COUNT), floor)
            good = 5.0 + 0.8 * self._normal(COUNT)
            gains[:names] = np.where(junk, bad, good)[:names]


def posterior_at(groups: TwoGroups, gain: float, name: bool) -> float:
    return float(groups.posterior(np.array([gain]), np.array([10]), np.array([name]))[0])


@pytest.mark.parametrize("share", SHARES)
def test_names_of_a_common_prefix_are_junk_though_they_say_more_than_text(share: float) -> None:
    drawn = Names(share)
    groups = drawn.fit()
    assert groups.null_share == pytest.approx(share, abs=0.03)
    posterior, names = drawn.posterior(groups), drawn.names
    assert posterior[names & ~drawn.junk].mean() > 0.95
    if share:
        assert posterior[names & drawn.junk].mean() < 0.08
        assert posterior_at(groups, 2.0, name=True) < 0.5 < 0.9 < posterior_at(groups, 2.0, False)


@pytest.mark.parametrize("share", SHARES)
def test_the_posterior_of_names_never_falls(share: float) -> None:
    groups = Names(share).fit()
    assert (
        len(groups.fits) == len(groups.weights) == len(groups.edges[0]) + len(groups.edges[1]) + 2
    )
    for some in groups.fits:
        assert (np.diff(some.posterior) >= 0).all()
        width = GRID[1] - GRID[0]
        assert some.null.sum() * width == pytest.approx(1, abs=0.01)
    assert posterior_at(groups, 8.9, name=True) > 0.9


def test_names_that_say_no_more_than_text_are_no_translations() -> None:
    """Junk among the pairs is richer than the made one, and poorer than the sentences."""
    drawn = Names(0.5)
    drawn.junk[: COUNT // 2] = True
    drawn.gains[0][: COUNT // 2] = 0.3 * drawn.rng.standard_normal(COUNT // 2)
    drawn.gains[1][: COUNT // 2] = -0.3 + 0.3 * drawn.rng.standard_normal(COUNT // 2)
    assert drawn.posterior(drawn.fit())[drawn.names].mean() < 0.1


@pytest.mark.parametrize("few", [0, 150, COUNT - 150, COUNT])
def test_few_names_or_little_text_are_fitted_with_the_rest(few: int) -> None:
    drawn = Drawn(0.3)
    drawn.names[:few] = True
    check_fitted_together(drawn, Drawn(0.3).fit())


@pytest.mark.parametrize("side", [0, 1])
def test_names_of_little_weight_are_few(side: int) -> None:
    """On side 0 the observed ones are in the wrong language, on side 1 the made ones."""
    drawn, alone = Drawn(0.3), Drawn(0.3)
    drawn.names[: COUNT // 2] = True
    for one in (drawn, alone):
        one.weights[side][150 : COUNT // 2] = 0.0
    check_fitted_together(drawn, alone.fit())


def check_fitted_together(drawn: Drawn, alone: TwoGroups) -> None:
    groups = drawn.fit()
    assert groups.null_share == alone.null_share
    names, none = np.ones(COUNT, bool), np.zeros(COUNT, bool)
    found = [groups.posterior(drawn.gains[0], drawn.lengths[0], some) for some in (names, none)]
    np.testing.assert_array_equal(*found)
