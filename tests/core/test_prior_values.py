"""Values of the prior: its file, its floor, and options that are refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.prior import Prior
from fairseq_autoassist.core.strategies import STRATEGIES, needs_of
from fairseq_autoassist.errors import ConfigError, FeatureError
from tests.support.planning import make_spec
from tests.support.strategies import mapped, prior_of


def test_a_mapped_prior_is_pickled_by_its_path(tmp_path) -> None:
    prior = mapped(tmp_path, 100_000)
    sent = pickle.dumps(prior)
    assert len(sent) < 1000
    back = pickle.loads(sent)
    ids = np.arange(100_000)
    np.testing.assert_array_equal(back.of(ids), prior_of(100_000).of(ids))
    assert back.identity == prior.identity == prior_of(100_000).identity
    in_memory = pickle.loads(pickle.dumps(prior_of()))
    np.testing.assert_array_equal(in_memory.values, prior_of().values)
    (tmp_path / "prior").write_bytes(b"1234")
    with pytest.raises(FeatureError, match="truncated: found 4 bytes, expected 400000; write it"):
        pickle.loads(sent)


def test_the_identity_of_a_prior_depends_on_its_floor() -> None:
    values = np.array([0.0, 0.2, 1.0], np.float32)
    low, high = Prior(values, 0.001), Prior(values, 0.5)
    np.testing.assert_array_equal(low.of(np.arange(3)), np.float32([0.001, 0.2, 1.0]))
    np.testing.assert_array_equal(high.of(np.array([2, 0])), np.float32([1.0, 0.5]))
    assert low.identity != high.identity
    assert low.mean() == pytest.approx(1.201 / 3) and low.share_below(0.01) == pytest.approx(1 / 3)
    assert low.mean(np.array([0, 1])) == pytest.approx(0.1005)
    assert Prior(values[::-1].copy(), 0.001).identity != low.identity


def test_a_strategy_that_needs_a_prior_is_refused_without_one() -> None:
    needs = {name: needs_of(AutoAssistConfig(name)).prior for name in STRATEGIES}
    assert [name for name, prior in needs.items() if prior == "required"] == ["prior"]
    with pytest.raises(ValueError, match="'prior' needs a prior"):
        Planner(make_spec(100, strategy="prior"))


@pytest.mark.parametrize("floor", [0.0, -0.1, 1.5, float("nan")])
def test_a_floor_out_of_range_is_refused(floor: float) -> None:
    expected = "--autoassist-prior-floor is .*, expected between 1e-06 and 1.0"
    with pytest.raises(ConfigError, match=expected):
        AutoAssistConfig(prior_floor=floor)
    assert AutoAssistConfig(prior_floor=1e-6).prior_floor == 1e-6  # the documented limit


def test_prior_options_without_effect_are_refused() -> None:
    def refused(**settings: object) -> str:
        with pytest.raises(ConfigError) as error:
            AutoAssistConfig(**settings)  # type: ignore[arg-type]
        return str(error.value)

    for control in ("uniform", "random"):
        for name, value in (("prior", "mine.txt"), ("prior_floor", 0.1)):
            said = refused(strategy=control, **{name: value})
            assert f"--autoassist-{name.replace('_', '-')} {value} (read by" in said
            assert "autoassist or competence or spl or infobatch or prior" in said
        for harmless in ("none", "agreement"):
            assert AutoAssistConfig(control, prior=harmless).prior == harmless
    said = refused(prior="none", prior_floor=0.1)
    assert "--autoassist-prior-floor 0.1 (read with a --autoassist-prior other than none)" in said
    assert AutoAssistConfig(prior="mine.txt", prior_floor=0.1).prior_floor == 0.1
