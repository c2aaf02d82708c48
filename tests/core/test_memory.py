"""The last known losses, and the extra features that are made of them and of the lengths."""

import numpy as np
import pytest

from fairseq_autoassist.config import PAPERS_RULE, AutoAssistConfig
from fairseq_autoassist.core.extra import SCALE, ExtraFeatures
from fairseq_autoassist.core.memory import LossMemory
from fairseq_autoassist.core.strategies import Report, build_strategy
from tests.support.planning import make_sizes
from tests.support.strategies import RareFeatures, corpus_of

IDS = np.arange(6)


def memory_of(*reports, pairs=6):
    memory = LossMemory(pairs)
    for ids, losses in reports:
        memory.record(np.array(ids), np.array(losses, np.float32))
    return memory


def test_the_last_loss_stands():
    memory = memory_of(([1, 3], [1.0, 4.0]), ([3, 5], [2.0, 0.5]))
    np.testing.assert_array_equal(memory.of(IDS), [np.nan, 1.0, np.nan, 2.0, np.nan, 0.5])
    assert memory.of(IDS).dtype == np.float32
    assert memory.known == 3 and memory.mean == pytest.approx(3.5 / 3)


def test_nothing_is_known_at_first():
    memory = LossMemory(6)
    assert memory.known == 0 and np.isnan(memory.mean) and np.isnan(memory.quantile(0.5))
    assert np.isnan(memory.of(IDS)).all()


def test_a_pair_that_comes_twice_counts_once():
    memory = memory_of(([2, 2, 4], [1.0, 3.0, 5.0]))
    assert memory.known == 2 and memory.of(np.array([2]))[0] in (1.0, 3.0)
    assert memory.mean == np.nanmean(memory.of(IDS))


def test_the_mean_is_that_of_what_is_remembered_however_often_it_changed():
    rng = np.random.default_rng(0)
    memory = LossMemory(200)
    for _ in range(500):
        memory.record(rng.integers(0, 200, 20), rng.gamma(4.0, 1.0, 20).astype(np.float32))
    assert memory.mean == pytest.approx(memory.of(np.arange(200)).mean(dtype=np.float64), abs=1e-9)


def test_a_huge_loss_is_remembered_as_the_largest_number_there_is():
    memory = memory_of(([0, 1], [1e9, 1.0]))
    assert memory.of(IDS)[0] == 65504.0 and np.isfinite(memory.mean)


def test_quantiles_are_of_what_is_known():
    memory = memory_of((np.arange(0, 1000, 2), np.arange(500) / 100.0), pairs=1000)
    for share in (0.0, 0.25, 0.9, 1.0):
        assert (memory.of(np.arange(0, 1000, 2)) <= memory.quantile(share)).mean() == (
            pytest.approx(share, abs=0.005)
        )


def test_quantiles_of_many_pairs_are_of_a_sample_spread_over_all(monkeypatch):
    monkeypatch.setattr("fairseq_autoassist.core.memory._SAMPLE", 10)
    memory = memory_of((np.arange(100), np.arange(100)), pairs=100)
    assert memory.quantile(0.5) == pytest.approx(45, abs=5) and memory.quantile(1.0) >= 90


def test_a_state_of_other_data_is_refused():
    with pytest.raises(ValueError, match="losses of 5 pairs, the data has 6.*other data"):
        LossMemory(6).load_state_dict(LossMemory(5).state_dict())


def test_no_state_forgets():
    memory = memory_of(([1], [1.0]))
    memory.load_state_dict(None)
    assert memory.known == 0 and np.isnan(memory.of(IDS)).all() and np.isnan(memory.mean)


def test_merging_takes_the_mean_of_those_that_know():
    states = [
        memory_of(([0, 1], [1.0, 2.0])).state_dict(),
        memory_of(([1, 2], [4.0, 5.0])).state_dict(),
        memory_of().state_dict(),
    ]
    memory = LossMemory(6)
    memory.load_state_dict(LossMemory.merge(states))
    np.testing.assert_array_equal(memory.of(IDS), [1.0, 3.0, 5.0, *[np.nan] * 3])
    assert memory.known == 3 and memory.mean == 3.0
    memory.record(np.array([5]), np.array([7.0], np.float32))  # and it goes on from there
    assert memory.known == 4 and memory.mean == 4.0


# -- extra features -------------------------------------------------------------------------------

SIZES = make_sizes(400)
COLUMNS = {"lengths": 2, "ratio": 2, "loss": 2, "lengths,ratio,loss": 6}


def extra_of(kinds):
    return ExtraFeatures(RareFeatures(), *SIZES, tuple(kinds.split(",")))


@pytest.mark.parametrize("kinds", COLUMNS)
def test_scores_are_those_of_the_rows(kinds):
    extra, rng = extra_of(kinds), np.random.default_rng(1)
    extra.observe(np.arange(0, 400, 3), rng.gamma(4.0, 1.0, 134).astype(np.float32), 4.0)
    assert extra.dimensions == 20 + COLUMNS[kinds] and extra.rows == 400
    ids = rng.integers(0, 400, 57)
    rows, weights = extra.gather(ids).matrix, rng.normal(size=extra.dimensions).astype(np.float32)
    assert rows.shape == (57, extra.dimensions) and rows.dtype == np.float32
    np.testing.assert_array_equal(
        rows[:, :20].toarray(), RareFeatures().gather(ids).matrix.toarray()
    )
    np.testing.assert_allclose(rows[:, 20:].toarray(), extra.dense(ids))
    scores = extra.scores(ids, weights)
    assert scores.dtype == np.float32 and scores.shape == (57,)
    np.testing.assert_allclose(scores, rows @ weights, rtol=1e-4, atol=1e-5)


def test_lengths_are_logarithms_of_zero_mean_and_one_scale():
    source, target, ratio, unusual = extra_of("lengths,ratio").dense(np.arange(400)).T
    for column, sizes in ((source, SIZES[0]), (target, SIZES[1])):
        expected = np.log(sizes) - np.log(sizes).mean()
        expected *= SCALE / expected.std()
        np.testing.assert_allclose(column, expected, atol=2e-3)
    # a pair of unusual lengths, to either side, stands out in the last column
    logs = np.log(SIZES[1] / SIZES[0])
    assert np.corrcoef(ratio, logs)[0, 1] > 0.99
    assert np.corrcoef(unusual, np.abs(logs - logs.mean()))[0, 1] > 0.99


def test_the_loss_feature_remembers_multiples_of_the_threshold():
    extra = extra_of("loss")
    extra.observe(np.array([0, 1, 2]), np.array([1.0, 2.0, 50.0], np.float32), 2.0)
    extra.observe(np.array([0]), np.array([3.0], np.float32), 2.0)
    known, relative = extra.dense(np.arange(4)).T
    np.testing.assert_allclose(known, [SCALE, SCALE, SCALE, 0.0])
    np.testing.assert_allclose(relative, [0.5, 0.0, 2.0, 0.0])
    again = extra_of("loss")
    again.load_state_dict(extra.state_dict())
    np.testing.assert_array_equal(again.dense(np.arange(400)), extra.dense(np.arange(400)))


def test_sentences_of_one_length_are_no_trouble():
    extra = ExtraFeatures(RareFeatures(), np.full(400, 9), np.full(400, 9), ("lengths", "ratio"))
    assert np.isfinite(extra.dense(np.arange(400))).all()


def test_the_last_loss_of_a_pair_is_no_hint_at_a_random_one():
    """A report is learned from before its losses are remembered: none is a feature of itself."""
    settings = {"extra_features": "loss", "gamma_decay": 0.99, "guard_pairs": 0}
    strategy = build_strategy(AutoAssistConfig(**settings, **PAPERS_RULE), corpus_of())
    rng = np.random.default_rng(3)
    for _ in range(400):
        ids, losses = rng.integers(0, 400, 16), rng.random(16).astype(np.float32)
        strategy.observe(Report(ids, losses, np.ones(16, bool)))
    assert strategy.metrics()["acc"] < 0.6
