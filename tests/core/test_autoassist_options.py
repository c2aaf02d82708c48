"""Options of AutoAssist beyond the paper, one by one."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.labels import Band, labels
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.strategies import build_strategy
from fairseq_autoassist.core.strategies.autoassist import PAPERS_RULE
from fairseq_autoassist.core.stream import pass_coins
from fairseq_autoassist.errors import ConfigError
from tests.support.planning import make_spec
from tests.support.strategies import (
    PAIRS,
    START,
    RareFeatures,
    choose,
    corpus_of,
    kept,
    losses_of,
    teach,
    train,
)

IDS = np.arange(PAIRS)
FAST = {"gamma_decay": 0.5, "guard_pairs": 0}
PAPER = {**FAST, **PAPERS_RULE}


def taught(reports=80, losses=losses_of, rule=PAPER, **settings):
    config = AutoAssistConfig(**{**rule, **settings})
    strategy = build_strategy(config, corpus_of())
    teach(strategy, reports, losses=losses)
    return strategy


# -- floor ----------------------------------------------------------------------------------------


def test_the_floor_lifts_low_probabilities_only():
    plain, floored = taught(), taught(floor=0.5)
    assert kept(plain).min() < 0.3
    expected = np.maximum(kept(plain), 0.5)
    np.testing.assert_allclose(kept(floored), expected, rtol=1e-6)
    assert choose(plain).uniform_share == 1.0 - plain.gamma(START) < 0.3
    assert choose(floored).uniform_share == 0.5


def test_a_floor_below_the_first_coin_changes_nothing():
    plain, floored = taught(gamma_decay=0.99), taught(gamma_decay=0.99, floor=0.3)
    np.testing.assert_array_equal(kept(plain), kept(floored))
    assert (
        choose(floored).uniform_share
        == choose(plain).uniform_share
        == pytest.approx(1.0 - plain.gamma(START))
    )
    assert 0.3 < choose(floored).uniform_share < 0.9


def test_a_run_keeps_at_least_the_floor_of_the_easy_pairs():
    settings = {"strategy": "autoassist", "floor": 0.5, "gamma_decay": 0.9, "guard_pairs": 0}
    planner = Planner(make_spec(5000, **settings), RareFeatures(5000))
    train(planner, 800)
    coins = np.stack([pass_coins(1, p, 5000) for p in range(50)])
    probability = kept(planner.strategy, ids=np.arange(5000))
    easy, hard = (coins < probability)[:, ::2].mean(), (coins < probability)[:, 1::2].mean()
    # 125,000 coins each: a standard error of 0.0014
    assert easy == pytest.approx(0.5, abs=0.01) and hard > 0.8


# -- limits ---------------------------------------------------------------------------------------


def test_losses_inside_the_band_have_label_1():
    losses = np.array([0.9, 1.0, 1.1, 2.9, 3.0, 3.1]) * 2.0
    labelled = labels(losses, 2.0, Band(1.0, 3.0))
    np.testing.assert_array_equal(labelled, [False, False, True, True, True, False])


def test_a_lower_limit_below_the_threshold_prefers_more_pairs():
    share = [kept(taught(lower=lower)).mean() for lower in (1.0, 0.2)]
    assert share[0] < 0.7 and share[1] > 0.9  # every loss is above 0.2 T_k


def misaligned(ids):
    """Losses by which odd pairs are hard, and every second of these is far too hard."""
    return np.where(ids % 4 == 3, 50.0, losses_of(ids)).astype(np.float32)


def taught_with_too_hard_pairs(upper):
    """Strategy taught with features that tell four kinds of pairs apart."""
    features = RareFeatures()
    features.matrix = sp.csr_array(np.eye(20, dtype=np.float32)[IDS % 4])
    config = AutoAssistConfig(**{**PAPER, "gamma_decay": 0.95, "upper": upper})
    strategy = build_strategy(config, dataclasses.replace(corpus_of(), features=features))
    teach(strategy, 500, losses=misaligned)
    return strategy


def test_the_upper_limit_skips_pairs_that_are_far_too_hard():
    chosen = [kept(taught_with_too_hard_pairs(upper)) for upper in (0.0, 2.0)]
    too_hard = IDS % 4 == 3
    assert chosen[0][too_hard].mean() > 0.9 > 0.5 > chosen[1][too_hard].mean()


@pytest.mark.parametrize(
    "setting, found",
    [
        (
            {"upper": 0.3},
            "--autoassist-upper is 0.3, expected 0 or more than .*-lower, which is 0.3",
        ),
        ({"lower": 1.25}, "--autoassist-upper is 1.25, expected 0 or more than .* which is 1.25"),
        ({"upper": 1.5, "lower": 2.0}, "--autoassist-upper is 1.5, expected 0 or more than"),
        ({"upper": -1.0}, "--autoassist-upper is -1.0, expected at least 0"),
        ({"competence_by": "age"}, "--autoassist-competence-by is 'age', expected one of"),
        ({"keep": 0.0}, "--autoassist-keep is 0.0, expected between 0.01 and 1"),
        ({"infobatch_ratio": 1.0}, "--autoassist-infobatch-ratio is 1.0, expected between 0"),
        ({"floor": float("nan")}, "--autoassist-floor is nan, expected between 0.0 and 1.0"),
        ({"timeout": float("inf")}, "--autoassist-timeout is inf, expected at least 0.1, finite"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting, found):
    with pytest.raises(ConfigError, match=found):
        AutoAssistConfig(**setting)


def test_infinity_means_no_upper_limit():
    assert AutoAssistConfig(upper=float("inf")) == AutoAssistConfig(upper=0.0)
    for wrong in (float("-inf"), float("nan")):
        with pytest.raises(ConfigError, match="--autoassist-upper is"):
            AutoAssistConfig(upper=wrong)
