"""Relevance: the factor on P(keep), alone and with the Assistant."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.features import RELEVANCE_NAME, Features, feature_folder
from fairseq_autoassist.core.manifest import build_command
from fairseq_autoassist.core.relevance import Relevance
from fairseq_autoassist.core.strategies import (
    Moment,
    Report,
    build_strategy,
    strategy_class,
    without_effect,
)
from fairseq_autoassist.errors import ConfigError, FeatureError
from fairseq_autoassist.tfidf.cli import main as build_features
from tests.support.corpus import write_data_bin
from tests.support.strategies import PAIRS, at, corpus_of, strategy_of, teach

IDS = np.arange(PAIRS)
RELEVANCE = np.minimum(1.0, np.arange(1, PAIRS + 1) / 360).astype(np.float32)


def when(share: float, update: float = 10.0) -> Moment:
    """The time, when ``share`` of the run is over."""
    return Moment(update, 0.0, share)


def relevance(values=RELEVANCE, **settings) -> Relevance:
    config = AutoAssistConfig(**{"relevance_floor": 0.0, **settings})
    return Relevance(config, SimpleNamespace(relevance=values))


def test_the_factor_is_the_relevance_to_a_power() -> None:
    factor = relevance().factor(IDS, when(0.0))
    assert factor.dtype == np.float32
    np.testing.assert_array_equal(factor, RELEVANCE)
    np.testing.assert_allclose(
        relevance(relevance_power=3.0).factor(IDS, when(0.0)), RELEVANCE**3, rtol=1e-5
    )
    mixed = np.array([399, 0, 7, 0])
    np.testing.assert_array_equal(relevance().factor(mixed, when(0.0)), factor[mixed])


def test_the_floor() -> None:
    plain, floored = relevance().factor(IDS, when(0.0)), relevance(relevance_floor=0.3)
    np.testing.assert_allclose(floored.factor(IDS, when(0.0)), np.maximum(plain, 0.3), rtol=1e-6)


def test_the_ramp_begins_with_all_pairs_and_ends_with_the_same_choice() -> None:
    ramped, plain = relevance(relevance_ramp=0.5), relevance().factor(IDS, when(0.0))
    assert (ramped.factor(IDS, when(0.0)) == 1.0).all()
    np.testing.assert_allclose(ramped.factor(IDS, when(0.25)), np.sqrt(plain), rtol=1e-5)
    for share in (0.5, 0.7, 1.0):
        np.testing.assert_allclose(ramped.factor(IDS, when(share)), plain, rtol=1e-6)


def test_the_ramp_has_not_begun_while_the_update_is_not_known() -> None:
    unknown = when(1.0, math.inf)  # as of a run that began without the plugin
    ramped = relevance(relevance_ramp=0.5, relevance_floor=0.1)
    assert (ramped.factor(IDS, unknown) == 1.0).all() and ramped.least(unknown) == 1.0
    np.testing.assert_array_equal(relevance().factor(IDS, unknown), RELEVANCE)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("ramp", [0.0, 0.5])
def test_no_factor_is_below_the_least(share: float, ramp: float) -> None:
    found = relevance(relevance_floor=0.05, relevance_ramp=ramp)
    assert found.factor(IDS, when(share)).min() >= found.least(when(share)) > 0.0


def test_without_it_a_run_is_refused() -> None:
    with pytest.raises(FeatureError, match="needs the relevance of each pair"):
        Relevance(AutoAssistConfig(), object())


def test_weights_that_would_take_it_back_are_refused() -> None:
    with pytest.raises(ConfigError, match="inverse takes back what --autoassist-relevance does"):
        AutoAssistConfig(relevance=True, weights="inverse")


def test_without_a_uniform_slice_the_assistant_could_not_be_judged() -> None:
    none = AutoAssistConfig(relevance=True, relevance_floor=0.0)
    with pytest.raises(ConfigError, match="--autoassist-relevance-floor is 0, expected more"):
        strategy_class("autoassist").check(none)
    strategy_class("relevance").check(dataclasses.replace(none, strategy="relevance"))
    strategy_class("autoassist").check(AutoAssistConfig(relevance_floor=0.0))  # not read


def test_settings_without_their_switch_are_named() -> None:
    settings = {"relevance_power": 3.0, "relevance_ramp": 0.5}
    named = ["--autoassist-relevance-power 3.0", "--autoassist-relevance-ramp 0.5"]
    named = [f"{words} without --autoassist-relevance" for words in named]
    assert without_effect(AutoAssistConfig(**settings)) == named
    assert without_effect(AutoAssistConfig(relevance=True, **settings)) == []
    assert without_effect(AutoAssistConfig(strategy="relevance", **settings)) == []


def test_with_the_assistant_both_count() -> None:
    plain, both = strategy_of("autoassist by default"), strategy_of("autoassist by relevance")
    config = AutoAssistConfig()
    factor = Relevance(config, corpus_of().features).factor(IDS, when(0.5))
    for one in (plain, both):
        at(one, 0.5)
    np.testing.assert_array_equal(both.keep_probability(IDS), factor)  # nothing learned yet
    for one in (plain, both):
        teach(one)
    expected = plain.keep_probability(IDS) * factor
    assert expected.min() < 0.1 and np.ptp(plain.keep_probability(IDS)) > 0.2
    np.testing.assert_allclose(both.keep_probability(IDS), expected, rtol=1e-6)
    assert both.keep_probability(IDS).min() >= both.uniform_share > 0.0


def test_what_has_failed_keeps_everything() -> None:
    strategy = strategy_of("autoassist by relevance")
    assert strategy.keep_probability(IDS).min() < 0.5
    strategy.observe(Report(IDS[:4], np.full(4, np.nan, np.float32), np.ones(4, bool)))
    assert (strategy.keep_probability(IDS) == 1.0).all() and strategy.uniform_share == 1.0
    for case in ("relevance", "autoassist by relevance"):
        strategy = strategy_of(case)
        strategy.stop_shrinking()
        assert (strategy.keep_probability(IDS) == 1.0).all() and strategy.uniform_share == 1.0


def test_an_assistant_that_may_not_shrink_leaves_relevance_alone() -> None:
    config = AutoAssistConfig(relevance=True, warmup_updates=10**6)
    strategy = build_strategy(config, corpus_of())
    teach(strategy)
    factor = Relevance(config, corpus_of().features).factor(IDS, when(0.0))
    np.testing.assert_array_equal(strategy.keep_probability(IDS), factor)


def test_a_missing_or_cut_file_names_the_command(tmp_path) -> None:
    data = write_data_bin(tmp_path / "data bin", 400, vocabulary=300)
    assert build_features([str(data)]) == 0
    folder = feature_folder(data, "train", "de", "en")
    languages = "--source-lang de --target-lang en"
    with pytest.raises(
        FeatureError, match=f"make them with: autoassist-relevance '{data}' {languages}$"
    ):
        _ = Features.open(folder).relevance
    command = build_command(f"{data}:b", "train", ("de", "en"), "dest")  # of the run
    with pytest.raises(
        FeatureError, match=f"autoassist-relevance '{data}:b' {languages} --dest dest$"
    ):
        _ = Features.open(folder, command).relevance
    (folder / RELEVANCE_NAME).write_bytes(b"1234")
    with pytest.raises(FeatureError, match="is truncated: found 4 bytes, expected 1600"):
        _ = Features.open(folder).relevance
    np.arange(400, dtype="<f4").tofile(folder / RELEVANCE_NAME)
    np.testing.assert_array_equal(Features.open(folder).relevance, np.arange(400))
