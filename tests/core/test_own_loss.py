"""The feature of an item's own last loss, and the strategy that learns from it."""

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.items import Items
from fairseq_autoassist.core.own_loss import COLUMNS, OwnLoss
from fairseq_autoassist.core.strategies import Corpus, Report, TrainingPoint, build_strategy
from fairseq_autoassist.core.strategies.own_loss import OwnLossAssist
from fairseq_autoassist.features.dense import DenseFeatures

COUNT, WIDTH, BATCH = 40, 3, 50
POINT = TrainingPoint(10, 1.0, 0.1)
EASY = {"guard_pairs": 0, "floor": 0.1, "lower": 0.0, "upper": 1.0}


def noise(count: int, width: int) -> DenseFeatures:
    """Features that tell nothing, of norm 1 on average."""
    rows = np.random.default_rng(0).normal(size=(count, width)) / np.sqrt(width)
    return DenseFeatures(rows.astype(np.float32))


def source_of(count: int = COUNT) -> OwnLoss:
    """Features without any report."""
    return OwnLoss(noise(count, WIDTH), count)


def strategy_of(name: str, count: int, **settings: float):
    """Strategy that labels 1 the losses below T_k, on features that tell nothing."""
    config = AutoAssistConfig(name, gamma_decay=0.9, **EASY, **settings)
    return build_strategy(config, Corpus(Items(count), noise(count, 8)))


def report_of(ids: np.ndarray, losses: np.ndarray) -> Report:
    """Report of uniformly kept items."""
    return Report(ids, losses.astype(np.float32), np.ones(len(ids), dtype=bool))


def matrix_of(source: OwnLoss) -> np.ndarray:
    """All features as one matrix: what each weight alone scores."""
    unit, ids = np.eye(source.dimensions, dtype=np.float32), np.arange(source.rows)
    return np.stack([source.scores(ids, weights) for weights in unit], axis=1)


def test_one_column_more_is_one_and_tells_the_size_of_the_last_loss():
    source = source_of()
    assert source.dimensions == WIDTH + COLUMNS
    source.record(np.arange(30), np.repeat([0.01, 0.9, 90.0], 10).astype(np.float32), 1.0)
    source.record(np.arange(10), np.full(10, 0.9, np.float32), 1.0)  # the last one counts
    found = matrix_of(source)[:, WIDTH:]
    assert (found.sum(axis=1) == 1).all() and found.max() == 1
    columns = found.argmax(axis=1)
    assert (columns[:20] == columns[0]).all()
    assert set(columns[20:30]) == {COLUMNS - 1} and set(columns[30:]) == {0}
    source.record(np.arange(10), np.zeros(10, np.float32), 0.0)  # T_k of 0
    assert set(matrix_of(source)[:10, WIDTH:].argmax(axis=1)) == {1}


def test_rows_score_and_add_as_their_matrix_does():
    source, rng = source_of(), np.random.default_rng(1)
    source.record(np.arange(25), rng.gamma(1.0, 2.0, 25).astype(np.float32), 1.5)
    ids = np.array([3, 30, 3, 7])
    rows, dense = source.gather(ids), matrix_of(source)[ids]
    weights = rng.normal(size=source.dimensions).astype(np.float32)
    np.testing.assert_allclose(rows.dot(weights), dense @ weights, rtol=1e-5)
    np.testing.assert_allclose(source.scores(ids, weights), dense @ weights, rtol=1e-5)
    coefficients = rng.normal(size=4).astype(np.float32)
    expected = weights - 0.5 * (coefficients @ dense)
    rows.add_to(weights, coefficients, -0.5)
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)


def test_a_size_is_a_multiple_of_the_threshold():
    small, large = source_of(), source_of()
    losses = np.random.default_rng(2).gamma(1.0, 1.0, COUNT).astype(np.float32)
    small.record(np.arange(COUNT), losses, 1.0)
    large.record(np.arange(COUNT), 64 * losses, 64.0)
    np.testing.assert_array_equal(matrix_of(small), matrix_of(large))
    assert len(np.unique(small.state())) > 5


def test_ranks_merge_what_each_knows():
    one, two = (strategy_of("own-loss", COUNT) for _ in range(2))
    one.observe(report_of(np.arange(20), np.full(20, 1.0)), POINT)
    two.observe(report_of(np.arange(10, 30), np.linspace(0.1, 3.0, 20)), POINT)
    states = [one.state_dict(), two.state_dict()]
    both = strategy_of("own-loss", COUNT)
    both.load_state_dict(OwnLossAssist.merge(states))
    merged = both.state_dict()["own"]
    np.testing.assert_array_equal(merged, np.maximum(states[0]["own"], states[1]["own"]))
    assert (merged[:30] > 0).all() and not merged[30:].any()
    with pytest.raises(ValueError, match="other data"):
        source_of(10).load(merged)


def test_on_other_data_nothing_is_known_of_the_items_and_the_assistant_stays():
    strategy = strategy_of("own-loss", COUNT)
    strategy.observe(report_of(np.arange(COUNT), np.linspace(0.1, 3.0, COUNT)), POINT)
    state = strategy.state_dict()
    strategy.load_state_dict(OwnLossAssist.on_other_data(state, None))
    found = strategy.state_dict()
    assert state["own"].all() and not found["own"].any()
    for name, value in state["assistant"].items():
        np.testing.assert_array_equal(found["assistant"][name], value)


def test_a_label_is_predicted_before_its_own_loss_is_known():
    """On items that are new, nothing tells the label: neither features nor an earlier loss."""
    count, rng = 6000, np.random.default_rng(3)
    strategy = strategy_of("own-loss", count)
    for ids in rng.permutation(count).reshape(-1, BATCH):
        strategy.observe(report_of(ids, np.where(rng.random(BATCH) < 1 / 3, 3.0, 0.5)), POINT)
    metrics = strategy.metrics(POINT)
    assert metrics["acc"] < metrics["majority"] + 0.03


@pytest.mark.parametrize("fall", [60, 150, 10**9])
def test_wrong_labels_are_skipped_that_no_feature_shows(fall):
    """A third of the items keeps a higher loss than the others, while all losses fall."""
    count, rng = 6000, np.random.default_rng(3)
    wrong = rng.random(count) < 1 / 3

    def probabilities(name: str) -> np.ndarray:
        strategy, step = strategy_of(name, count), 0
        for _ in range(4):
            for ids in rng.permutation(count).reshape(-1, BATCH):
                base, step = 8.0 * np.exp(-step / fall) + 0.5, step + 1
                size = np.where(wrong[ids], 1.35, 0.9) + rng.normal(0, 0.1, BATCH)
                strategy.observe(report_of(ids, base * size), POINT)
        return strategy.choose(np.arange(count), POINT).probability

    found, blind = probabilities("own-loss"), probabilities("autoassist")
    assert found[~wrong].mean() - found[wrong].mean() > 0.6
    assert abs(blind[wrong].mean() - blind[~wrong].mean()) < 0.1
