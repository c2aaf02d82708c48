"""Loss memory: the last known loss of each item, with mean and quantiles."""

import numpy as np
import pytest

from fairseq_autoassist.core.memory import LossMemory

IDS = np.arange(6)


def memory_of(*reports, pairs=6):
    memory = LossMemory(pairs)
    for ids, losses in reports:
        memory.record(np.array(ids), np.array(losses, np.float32))
    return memory


def test_a_new_loss_replaces_the_last_one():
    memory = memory_of(([1, 3], [1.0, 4.0]), ([3, 5], [2.0, 0.5]))
    np.testing.assert_array_equal(memory.of(IDS), [np.nan, 1.0, np.nan, 2.0, np.nan, 0.5])
    assert memory.of(IDS).dtype == np.float32
    assert memory.known == 3 and memory.mean == pytest.approx(3.5 / 3)


def test_nothing_is_known_at_first():
    memory = LossMemory(6)
    assert memory.known == 0 and np.isnan(memory.mean) and np.isnan(memory.quantile(0.5))
    assert np.isnan(memory.of(IDS)).all()


def test_a_pair_that_comes_twice_counts_once_with_its_first_loss():
    memory = memory_of(([2, 2, 4], [1.0, 3.0, 5.0]))
    assert memory.known == 2 and memory.of(np.array([2]))[0] == 1.0
    assert memory.mean == np.nanmean(memory.of(IDS))


def test_the_mean_is_exact_after_many_changes():
    rng = np.random.default_rng(0)
    memory = LossMemory(200)
    for _ in range(500):
        memory.record(rng.integers(0, 200, 20), rng.gamma(4.0, 1.0, 20).astype(np.float32))
    assert memory.mean == pytest.approx(memory.of(np.arange(200)).mean(dtype=np.float64), abs=1e-9)


def test_a_huge_loss_is_remembered_as_the_largest_float16():
    memory = memory_of(([0, 1], [1e9, 1.0]))
    assert memory.of(IDS)[0] == 65504.0 and np.isfinite(memory.mean)


def test_the_mean_stays_a_number_after_a_loss_far_below_0():
    memory = memory_of(([2], [-1e9]), ([2], [3.0]))
    assert memory.mean == 3.0


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
    with pytest.raises(ValueError, match="losses of 5 items, the data has 6.*other data"):
        LossMemory(6).load_state_dict(LossMemory(5).state_dict())


def test_loading_no_state_forgets_all_losses():
    memory = memory_of(([1], [1.0]))
    memory.load_state_dict(None)
    assert memory.known == 0 and np.isnan(memory.of(IDS)).all() and np.isnan(memory.mean)


def test_merging_takes_the_mean_over_ranks_that_know_a_loss():
    states = [
        memory_of(([0, 1], [1.0, 2.0])).state_dict(),
        memory_of(([1, 2], [4.0, 5.0])).state_dict(),
        memory_of().state_dict(),
    ]
    memory = LossMemory(6)
    memory.load_state_dict(LossMemory.merge(states))
    np.testing.assert_array_equal(memory.of(IDS), [1.0, 3.0, 5.0, *[np.nan] * 3])
    assert memory.known == 3 and memory.mean == 3.0
    memory.record(np.array([5]), np.array([7.0], np.float32))  # a new loss
    assert memory.known == 4 and memory.mean == 4.0
