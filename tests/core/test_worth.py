"""Utilities beside the loss: progress since last time, and excess over a reference model."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_autoassist.config import UTILITIES, AutoAssistConfig
from fairseq_autoassist.core.source import NoFeatures
from fairseq_autoassist.core.strategies import AutoAssist, Corpus, Report, build_strategy
from fairseq_autoassist.core.worth import Worth
from fairseq_autoassist.errors import ConfigError, FeatureError
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.store import REFERENCE_NAME, Features
from tests.support.strategies import PAIRS, RareFeatures, corpus_of
from tests.support.training import copy_data_bin

IDS = np.arange(4)
LOSSES = np.array([4.0, 2.0, 1.0, 0.5], dtype=np.float32)
EASY, HARD = np.arange(0, PAIRS, 2), np.arange(1, PAIRS, 2)
SETTINGS = {"gamma_decay": 0.5, "guard_pairs": 0, "floor": 0.0}


def worth(kind: str, features: object = None) -> Worth:
    return Worth(AutoAssistConfig(utility=kind), 10, features)


def taught(losses: list[np.ndarray], **settings: object) -> AutoAssist:
    """An Assistant that saw all pairs with each of these losses (PAIRS,), some at a time."""
    strategy = build_strategy(AutoAssistConfig(**SETTINGS, **settings), corpus_of())
    for values in losses:
        for start in range(16):
            ids = np.arange(start, PAIRS, 16)
            strategy.observe(Report(ids, values[ids], np.ones(len(ids), bool)))
    return strategy


def test_a_loss_is_its_own_utility() -> None:
    np.testing.assert_array_equal(worth("loss").take(IDS, LOSSES), LOSSES)
    assert worth("loss").state_dict() is None


def test_progress_is_how_far_the_loss_is_below_the_pairs_own_history() -> None:
    progress = worth("progress")
    assert np.isnan(progress.take(IDS, LOSSES)).all()
    fell = progress.take(np.array([2, 0, 7]), np.array([0.5, 5.0, 1.0], np.float32))
    np.testing.assert_allclose(fell, [0.5, -1.0, np.nan])
    # histories: 0.8 * 4 + 0.2 * 5, 2, 0.8 * 1 + 0.2 * 0.5, 0.5
    fell = progress.take(IDS, np.zeros(4, np.float32))
    np.testing.assert_allclose(fell, [4.2, 2.0, 0.9, 0.5], rtol=1e-3)  # two bytes each


def test_progress_goes_on_from_its_state_and_forgets_without_one() -> None:
    progress, other = worth("progress"), worth("progress")
    progress.take(IDS, LOSSES)
    other.load_state_dict(progress.state_dict())
    np.testing.assert_allclose(other.take(IDS, LOSSES / 2), LOSSES / 2)
    other.load_state_dict(None)
    assert np.isnan(other.take(IDS, LOSSES)).all()


def test_excess_is_above_the_reference_and_unknown_where_that_is() -> None:
    features = RareFeatures(10)
    features.reference = np.array([1.0, 2.0, 3.0, np.nan], dtype=np.float32)
    np.testing.assert_allclose(
        worth("excess", features).take(IDS, LOSSES), [3.0, 0.0, -2.0, np.nan]
    )


def test_excess_without_a_reference_is_refused() -> None:
    with pytest.raises(FeatureError, match="'excess' needs losses of a reference model"):
        worth("excess", object())
    worth("excess", NoFeatures(3))  # a planner without its Assistant


def test_an_unknown_utility_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match=f"'gain', expected one of: {', '.join(map(repr, UTILITIES))}"
    ):
        AutoAssistConfig(utility="gain")


def test_the_last_loss_in_multiples_of_another_utility_is_refused() -> None:
    with pytest.raises(ConfigError, match="features loss needs --autoassist-utility loss, found"):
        AutoAssistConfig(utility="progress", extra_features="ratio,loss")
    AutoAssistConfig(utility="progress", extra_features="ratio")


def test_by_progress_what_stands_still_is_left_out_however_high_its_loss() -> None:
    falling = [np.where(np.arange(PAIRS) % 2, 5.0, 1.0 - 0.02 * k) for k in range(20)]
    strategy = taught([values.astype(np.float32) for values in falling], utility="progress")
    probability = strategy.keep_probability(np.arange(PAIRS))
    assert probability[EASY].min() > 0.8 and probability[HARD].max() < 0.2
    by_loss = taught(falling, lower=1.0, upper=0.0).keep_probability(np.arange(PAIRS))
    assert by_loss[HARD].min() > 0.8 and by_loss[EASY].max() < 0.2


def test_before_any_progress_is_known_nothing_is_learned_or_skipped() -> None:
    strategy = taught([np.linspace(1, 5, PAIRS, dtype=np.float32)], utility="progress")
    assert strategy.threshold is None and not strategy.assistant.weights.any()
    assert (strategy.keep_probability(np.arange(PAIRS)) == 1.0).all()


def test_by_excess_what_the_reference_cannot_explain_either_is_left_out() -> None:
    features = RareFeatures()
    features.reference = np.where(np.arange(PAIRS) % 2, 5.0, 0.5).astype(np.float32)
    config = AutoAssistConfig(utility="excess", **SETTINGS)
    corpus = corpus_of()
    strategy = build_strategy(config, Corpus(corpus.source_sizes, corpus.target_sizes, features))
    losses = np.where(np.arange(PAIRS) % 2, 4.5, 1.0).astype(np.float32)
    for k in range(300):
        ids = np.arange(k % 16, PAIRS, 16)
        strategy.observe(Report(ids, losses[ids], np.ones(len(ids), bool)))
    probability = strategy.keep_probability(np.arange(PAIRS))
    assert probability[EASY].min() > 0.8 and probability[HARD].max() < 0.2
    assert -0.5 < strategy.threshold < 0.5  # nats/token, and may be negative


def test_a_missing_cut_or_empty_reference_names_the_command(tmp_path) -> None:
    data = copy_data_bin(tmp_path / "data")
    folder = feature_folder(data, "train", "en", "de")
    command = f"autoassist-reference {data} --source-lang en --target-lang de --path CHECKPOINT$"
    for build in ("", f"autoassist-tfidf other:{data}"):  # it takes one of several
        with pytest.raises(FeatureError, match=f"make them with: {command}"):
            _ = Features.open(folder, build or None).reference
    (folder / REFERENCE_NAME).write_bytes(bytes(4 * 399))
    with pytest.raises(FeatureError, match="is truncated: found 1596 bytes, expected 1600"):
        _ = Features.open(folder).reference
    (folder / REFERENCE_NAME).write_bytes(np.full(400, np.nan, dtype="<f4").tobytes())
    with pytest.raises(FeatureError, match=f"the loss of none of 400 pairs.*with: {command}"):
        _ = Features.open(folder).reference
    (folder / REFERENCE_NAME).write_bytes(np.arange(400, dtype="<f4").tobytes())
    np.testing.assert_array_equal(Features.open(folder).reference, np.arange(400))
