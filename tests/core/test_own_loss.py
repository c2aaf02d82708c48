"""Features of an item's own last loss, and the strategy that learns from them."""

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.items import Items
from fairseq_autoassist.core.own_loss import COLUMNS, OwnLoss
from fairseq_autoassist.core.strategies import Corpus, Report, TrainingPoint, build_strategy
from fairseq_autoassist.features.dense import DenseFeatures

COUNT, WIDTH = 40, 3
POINT = TrainingPoint(10, 1.0, 0.1)


def source_of(count: int = COUNT) -> OwnLoss:
    """Features of items that look alike, without any report."""
    rng = np.random.default_rng(0)
    return OwnLoss(DenseFeatures(rng.normal(size=(count, WIDTH)).astype(np.float32)), count)


def matrix_of(source: OwnLoss) -> np.ndarray:
    """All features as one matrix: what each weight alone scores."""
    unit, ids = np.eye(source.dimensions, dtype=np.float32), np.arange(source.rows)
    return np.stack([source.scores(ids, weights) for weights in unit], axis=1)


def test_two_columns_are_one_beside_the_features_of_the_source():
    source, ids = source_of(), np.arange(COUNT)
    assert source.dimensions == WIDTH + COLUMNS
    fresh = matrix_of(source)[:, WIDTH:]
    assert (fresh.sum(axis=1) == 2).all() and len(np.unique(fresh, axis=0)) == 1
    source.record(ids[:20], np.full(20, 0.1, np.float32))
    source.record(ids[20:30], np.full(10, 5.0, np.float32))
    source.record(ids[20:30], np.full(10, 5.0, np.float32))
    found = matrix_of(source)[:, WIDTH:]
    kinds = [found[0], found[20], found[30]]
    for number, members in enumerate((ids[:20], ids[20:30], ids[30:])):
        np.testing.assert_array_equal(found[members], np.tile(kinds[number], (len(members), 1)))
    assert len(np.unique(kinds, axis=0)) == 3
    np.testing.assert_array_equal(found[30], fresh[30])


def test_rows_score_and_add_as_their_matrix_does():
    source, rng = source_of(), np.random.default_rng(1)
    source.record(np.arange(25), rng.gamma(1.0, 2.0, 25).astype(np.float32))
    ids = np.array([3, 30, 3, 7])
    rows, dense = source.gather(ids), matrix_of(source)[ids]
    weights = rng.normal(size=source.dimensions).astype(np.float32)
    np.testing.assert_allclose(rows.dot(weights), dense @ weights, rtol=1e-5)
    np.testing.assert_allclose(source.scores(ids, weights), dense @ weights, rtol=1e-5)
    coefficients = rng.normal(size=4).astype(np.float32)
    expected = weights - 0.5 * (coefficients @ dense)
    rows.add_to(weights, coefficients, -0.5)
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)


def test_the_mean_sets_the_scale_of_the_columns():
    small, large = source_of(), source_of()
    losses = np.random.default_rng(2).gamma(1.0, 1.0, COUNT).astype(np.float32)
    small.record(np.arange(COUNT), losses)
    large.record(np.arange(COUNT), 64 * losses)
    np.testing.assert_array_equal(matrix_of(small), matrix_of(large))


def test_ranks_merge_what_each_knows():
    one, two = source_of(), source_of()
    one.record(np.arange(20), np.full(20, 1.0, np.float32))
    two.record(np.arange(10, 30), np.full(20, 3.0, np.float32))
    both = source_of()
    both.load_state_dict(OwnLoss.merge([one.state_dict(), two.state_dict()]))
    known = both.memory.of(np.arange(COUNT))
    np.testing.assert_array_equal(known[:30], np.repeat([1.0, 2.0, 3.0], 10))
    assert np.isnan(known[30:]).all()
    times = both.state_dict()["times"]
    np.testing.assert_array_equal(times, np.repeat([1, 2, 1, 0], 10))
    both.load_state_dict(None)
    np.testing.assert_array_equal(matrix_of(both), matrix_of(source_of()))
    with pytest.raises(ValueError, match="another|other data"):
        source_of(10).load_state_dict(one.state_dict())


def test_wrong_labels_are_skipped_that_no_feature_shows():
    """A third of the items keeps a high loss; the features of all come from one distribution."""
    count = 3000
    rng = np.random.default_rng(3)
    features = DenseFeatures(rng.normal(size=(count, 8)).astype(np.float32) / 3)
    wrong = rng.random(count) < 1 / 3

    def probabilities(name: str) -> np.ndarray:
        settings = {"guard_pairs": 0, "floor": 0.1, "lower": 0.0, "upper": 1.0}
        config = AutoAssistConfig(name, gamma_decay=0.9, **settings)
        strategy = build_strategy(config, Corpus(Items(count), features))
        for _ in range(6):
            for ids in rng.permutation(count).reshape(-1, 50):
                losses = np.where(wrong[ids], 3.0, 0.5) + rng.normal(0, 0.1, 50)
                report = Report(ids, losses.astype(np.float32), np.ones(50, dtype=bool))
                strategy.observe(report, POINT)
        return strategy.choose(np.arange(count), POINT).probability

    found, blind = probabilities("own-loss"), probabilities("autoassist")
    assert found[wrong].mean() < 0.25 and found[~wrong].mean() > 0.9
    assert abs(blind[wrong].mean() - blind[~wrong].mean()) < 0.1
