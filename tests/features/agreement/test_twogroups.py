"""Two-group model: it recovers a known share of junk, and more gain never lowers the posterior."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from fairseq_autoassist.features.agreement.lexicon import LEAST
from fairseq_autoassist.features.agreement.twogroups import GRID, TwoGroups, fit
from tests.support.drawn import COUNT, JUNK, JUNK_SPREAD, SHARES, Drawn


def posterior_of_text(groups: TwoGroups, gains: list[float], lengths: list[int]) -> np.ndarray:
    none = np.zeros(len(gains), bool)
    return groups.posterior(np.array(gains, dtype=np.float32), np.array(lengths), none)


@functools.lru_cache(maxsize=None)
def fitted(share: float, accidents: float) -> tuple[Drawn, TwoGroups]:
    """Pairs and the model fitted to them, which no test may change."""
    drawn = Drawn(share, accidents=accidents)
    return drawn, drawn.fit()


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("accidents", [0.0, 0.2])
def test_a_known_share_is_found(share: float, accidents: float) -> None:
    drawn, groups = fitted(share, accidents)
    assert groups.null_share == pytest.approx(share, abs=0.03)
    posterior = drawn.posterior(groups)
    assert posterior.dtype == np.float64 and 0 <= posterior.min() and posterior.max() <= 1
    assert posterior[~drawn.junk].mean() > 0.97
    if share:
        assert posterior[drawn.junk].mean() < 0.05


@pytest.mark.parametrize("shift", [-0.15, 0.15])
def test_junk_may_stand_elsewhere_than_the_made_pairs(shift: float) -> None:
    drawn = Drawn(0.5, shift=shift)
    groups = drawn.fit()
    assert groups.null_share == pytest.approx(0.5, abs=0.03)
    modes = [GRID[some.null.argmax()] for some in groups.fits]
    assert modes == pytest.approx([JUNK + shift] * len(groups.fits), abs=0.1)


def test_junk_far_from_the_made_pairs_is_taken_for_translations() -> None:
    """The null moves by half a spread at most: what stands higher is taken for translations."""
    drawn = Drawn(0.5, shift=0.9)
    groups = drawn.fit()
    for some in groups.fits:
        assert abs(GRID[some.null.argmax()] - JUNK) < JUNK_SPREAD
    assert groups.null_share < 0.1
    assert drawn.posterior(groups)[drawn.gains[0] > 0.6].min() > 0.5


@pytest.mark.parametrize("share", SHARES)
def test_the_posterior_never_falls(share: float) -> None:
    _, groups = fitted(share, 0.0)
    assert len(groups.edges[0]) + 1 == 3
    for some in groups.fits:
        assert len(some.posterior) == len(GRID) and (np.diff(some.posterior) >= 0).all()
        assert some.groups[0].sum() == pytest.approx(1)
    found = posterior_of_text(groups, [-50.0, -3.0, 9.0, 50.0], [10] * 4)
    assert found[0] == found[1] and found[2] == found[3] > 0.99


def test_the_posterior_is_that_of_the_two_groups() -> None:
    """Of the pairs that have a posterior of a third, a third are translations."""
    drawn = Drawn(0.5, good=0.6)
    posterior = drawn.posterior(drawn.fit())
    for low, high in ((0.05, 0.35), (0.35, 0.65), (0.65, 0.95)):
        some = (posterior > low) & (posterior < high)
        assert some.sum() > 150
        assert (~drawn.junk)[some].mean() == pytest.approx(posterior[some].mean(), abs=0.12)


def widespread(share: float) -> TwoGroups:
    """Model where translations reach beyond the junk on both sides, as short ones do."""
    drawn, rng = Drawn(share), np.random.default_rng(3)
    junk = JUNK + 0.12 * rng.standard_normal((2, COUNT))
    good = 1.5 + 0.9 * rng.standard_normal(COUNT)
    drawn.gains = np.where(drawn.junk, junk[0], good), junk[1]
    return drawn.fit()


def test_below_the_junk_no_pair_is_better_than_in_it() -> None:
    groups = widespread(0.5)
    low = posterior_of_text(groups, [-2.5, -1.0, JUNK], [10] * 3)
    assert low[0] == low[1] == pytest.approx(low[2], abs=0.02) and low.max() < 0.1
    for some in groups.fits:
        assert (np.diff(some.posterior) >= 0).all()


def test_above_the_translations_no_pair_is_worse_than_among_them() -> None:
    """Junk has the wider tail on the right here."""
    drawn, rng = Drawn(0.5), np.random.default_rng(3)
    junk = rng.standard_normal((2, COUNT))
    junk = JUNK + np.where(junk > 0, 1.0, 0.25) * junk
    drawn.gains = np.where(drawn.junk, junk[0], 3.0 + 0.25 * rng.standard_normal(COUNT)), junk[1]
    groups = drawn.fit()
    high = posterior_of_text(groups, [3.0, 3.5, 5.0, 8.9], [10] * 4)
    assert high.min() > 0.9 and (np.diff(high) >= 0).all()


def test_without_junk_a_low_gain_has_a_high_posterior() -> None:
    groups = widespread(0.0)
    assert posterior_of_text(groups, [-2.5, -1.0, JUNK], [10] * 3).min() > 0.8


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_junk_that_the_lexicon_rules_out_does_not_hide_the_other(share: float) -> None:
    """Of junk of one or two pieces, a third crowds at the least information."""
    drawn, rng = Drawn(share, good=2.0), np.random.default_rng(3)
    chances = rng.random((2, COUNT)), rng.standard_normal((2, COUNT))
    low = LEAST + 0.1 * np.abs(chances[1])
    junk = np.where(chances[0] < 0.35, low, np.maximum(-0.6 + 0.5 * chances[1], LEAST))
    drawn.gains = np.where(drawn.junk, junk[0], drawn.gains[0]), junk[1]
    groups = drawn.fit()
    assert groups.null_share == pytest.approx(share, abs=0.03)
    posterior = drawn.posterior(groups)
    assert posterior[~drawn.junk].mean() > 0.97
    if share:
        assert posterior[drawn.junk].mean() < 0.05


def test_every_range_of_lengths_has_its_own_null() -> None:
    """A gain that short junk reaches too is evidence of translation in long pairs only."""
    drawn = Drawn(0.5)
    for gains, lengths in zip(drawn.gains, drawn.lengths):
        gains[lengths < 12] += 0.8
    groups = drawn.fit()
    assert len(groups.fits) == len(groups.weights) == 6  # no names: their ranges are those of text
    assert len(groups.edges[0]) + 1 == 3 and (np.diff(groups.edges[0]) > 0).all()
    assert sum(groups.weights) == COUNT
    short, long = posterior_of_text(groups, [0.5, 0.5], [3, 39])
    assert short < 0.2 and long > 0.6
    outside = posterior_of_text(groups, [0.5, 0.5], [0, 500])
    assert outside.tolist() == [short, long]
    assert groups.null_share == pytest.approx(0.5, abs=0.03)


def test_the_share_is_that_of_the_weights() -> None:
    drawn = Drawn(0.5)
    drawn.weights[0][drawn.junk] = 0.0
    assert drawn.fit().null_share < 0.02
    drawn = Drawn(0.5)
    drawn.weights[0][drawn.junk & (np.arange(COUNT) % 2 == 0)] = 0.0
    assert drawn.fit().null_share == pytest.approx(1 / 3, abs=0.03)


def test_a_corpus_of_junk_alone_has_a_share_of_one() -> None:
    """Sums of float32 weights round up to more than 1 here."""
    rng = np.random.default_rng(0)
    gains = tuple((0.05 * rng.standard_normal(1000) - 1).astype(np.float32) for _ in range(2))
    lengths, weights = np.full(1000, 9), np.full(1000, 0.999, np.float32)
    groups = fit(gains, (lengths, lengths), (weights, weights), np.zeros(1000, bool))
    assert groups.null_share == pytest.approx(1, abs=1e-6) and groups.null_share <= 1
    assert posterior_of_text(groups, gains[0][:5].tolist(), [9] * 5).max() < 1e-3


@pytest.mark.parametrize("share", SHARES)
def test_few_pairs_are_one_range(share: float) -> None:
    drawn = Drawn(share, count=1000)
    groups = drawn.fit()
    assert len(groups.edges[0]) == 0
    assert groups.null_share == pytest.approx(share, abs=0.05)


def test_pairs_of_one_length_are_one_range() -> None:
    drawn = Drawn(0.3)
    drawn.lengths = np.full(COUNT, 7), np.full(COUNT, 9)
    groups = drawn.fit()
    assert len(groups.edges[0]) == 0
    assert groups.null_share == pytest.approx(0.3, abs=0.03)
    assert (drawn.posterior(groups)[drawn.junk] < 0.5).mean() > 0.95
