"""Dense matrix as features: the Assistant makes the same choices as with sparse rows."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from fairseq_autoassist.core.assistant import Assistant
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features.dense import DenseFeatures, DenseFile
from fairseq_autoassist.features.rows import CsrRows, DenseRows
from tests.support.planning import MemoryFeatures
from tests.support.strategies import PAIRS, RareFeatures, losses_of, spec_of

IDS = np.array([7, 0, 39, 7, 23])


def matrix_of(rows: int = 40, dimensions: int = 12) -> np.ndarray:
    rng = np.random.default_rng(3)
    found = rng.normal(size=(rows, dimensions)) * (rng.random((rows, dimensions)) < 0.6)
    return found.astype(np.float32)


def both() -> tuple[DenseFeatures, MemoryFeatures]:
    return DenseFeatures(matrix_of()), MemoryFeatures(matrix_of())


def test_rows_come_in_the_order_of_ids() -> None:
    dense, sparse = both()
    assert (dense.rows, dense.dimensions) == (sparse.rows, sparse.dimensions) == (40, 12)
    np.testing.assert_array_equal(dense.gather(IDS).matrix, sparse.gather(IDS).matrix.toarray())
    weights = np.random.default_rng(0).normal(size=12).astype(np.float32)
    found = dense.scores(IDS, weights)
    assert found.dtype == np.float32 and found.shape == (5,)
    np.testing.assert_allclose(found, sparse.scores(IDS, weights), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [CsrRows, DenseRows])
def test_adding_to_the_weights_is_the_transposed_product(kind: type) -> None:
    dense = matrix_of(6)
    rows = kind(sp.csr_array(dense)) if kind is CsrRows else kind(dense)
    rng = np.random.default_rng(1)
    weights = rng.normal(size=12).astype(np.float32)
    coefficients = rng.normal(size=6).astype(np.float32)
    expected = weights.astype(np.float64) - 0.25 * (coefficients.astype(np.float64) @ dense)
    rows.add_to(weights, coefficients, -0.25)
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-6)
    found = rows.dot(weights)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, dense @ weights, rtol=1e-5, atol=1e-6)


def test_dense_rows_give_the_same_sums_for_any_number_of_threads() -> None:
    """A resume replays reports in the training process, and its worker has one thread."""
    rng = np.random.default_rng(5)
    rows = DenseRows(rng.normal(size=(512, 3073)).astype(np.float32))
    weights = rng.normal(size=3073).astype(np.float32)
    coefficients = rng.normal(size=512).astype(np.float32)
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            learned = np.zeros(3073, np.float32)
            rows.add_to(learned, coefficients, -0.5)
            found.append((rows.dot(weights).tobytes(), learned.tobytes()))
    assert found[0] == found[1] == found[2]


def test_a_sparse_step_is_the_subtraction_of_eq_5_to_the_bit() -> None:
    dense = matrix_of(50)
    matrix, rng = sp.csr_array(dense), np.random.default_rng(2)
    weights = rng.normal(size=12).astype(np.float32)
    residual, rate = rng.normal(size=50).astype(np.float32), 0.3 / 0.77
    step = np.repeat(residual, np.diff(matrix.indptr)) * matrix.data
    step *= np.float32(rate)
    expected = weights.copy()
    np.subtract.at(expected, matrix.indices, step)
    CsrRows(matrix).add_to(weights, residual, -rate)
    np.testing.assert_array_equal(weights, expected)


def test_the_assistant_predicts_and_learns_the_same_from_both() -> None:
    sources = both()
    assistants = [Assistant(12, 0.7, 0.01) for _ in sources]
    rng, every = np.random.default_rng(4), np.arange(40)
    for _ in range(200):
        ids, positive = rng.integers(0, 40, 8), rng.random(8) < 0.5
        for assistant, source in zip(assistants, sources):
            rows = source.gather(ids)
            assistant.learn(rows, positive, assistant.predict_rows(rows, ids))
    one, other = (a.predict(source, every) for a, source in zip(assistants, sources))
    assert one.std() > 0.05  # something was learned
    np.testing.assert_allclose(one, other, rtol=1e-3)
    np.testing.assert_allclose(assistants[0].weights, assistants[1].weights, rtol=1e-3, atol=1e-4)


@pytest.mark.timeout(60)
def test_a_run_on_a_dense_file_is_the_same_in_the_worker_and_inline(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    np.save(path, RareFeatures().matrix.toarray())
    spec = dataclasses.replace(spec_of("autoassist", lag=10), features=DenseFile(str(path)))
    spec, found = dataclasses.replace(spec, dimensions=20), []
    for kind in (Exchange, ProcessExchange):
        exchange = kind(spec)
        try:
            batches = []
            for _ in range(60):
                batches.append(exchange.next_batch())
                exchange.report(batches[-1].number, losses_of(batches[-1].ids))
            assert exchange.failure is None
        finally:
            exchange.close()
        found.append([batch.kept.tolist() for batch in batches])
    assert found[0] == found[1]
    assert batches[-1].keep_rate < 0.9  # easy items are skipped


@pytest.mark.timeout(60)
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_item_with_a_feature_that_is_no_number_is_named(tmp_path: Path, wrong: float) -> None:
    matrix = RareFeatures().matrix.toarray()
    matrix[7, 3] = wrong
    path = tmp_path / "features.npy"
    np.save(path, matrix)
    spec = dataclasses.replace(spec_of("autoassist", lag=10), features=DenseFile(str(path)))
    exchange = ProcessExchange(dataclasses.replace(spec, dimensions=20))
    try:
        for _ in range(60):
            batch = exchange.next_batch()
            exchange.report(batch.number, losses_of(batch.ids))
        assert "the prediction for item 7 is not a number" in (exchange.failure or "")
        assert batch.keep_rate > 0.9  # training goes on without skipping
    finally:
        exchange.close()


def test_a_file_is_pickled_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "features.npy"
    np.save(path, matrix_of(PAIRS))
    sent = pickle.dumps(DenseFile(str(path)))
    assert len(sent) < 1000
    opened = pickle.loads(sent).open()
    np.testing.assert_array_equal(opened.gather(IDS).matrix, matrix_of(PAIRS)[IDS])


@pytest.mark.parametrize(
    "matrix",
    [np.ones((3, 2)), np.ones(3, np.float32), np.ones((0, 2), np.float32)],
    ids=["float64", "one dimension", "no rows"],
)
def test_what_is_no_matrix_of_float32_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(FeatureError, match="expected float32 with shape .items, dimensions.; make"):
        DenseFeatures(matrix)


@pytest.mark.parametrize("content", [None, b"", b"0.5\n"])
def test_a_file_that_is_no_array_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "features.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FeatureError, match="cannot read features from .*write it with") as caught:
        DenseFile(str(path)).open()
    assert "\n" not in str(caught.value)


def test_wrong_ids_are_refused() -> None:
    dense, _ = both()
    with pytest.raises(TypeError, match="ids must be integers"):
        dense.gather(np.array([1.0]))
    for wrong in (-1, 40):
        with pytest.raises(IndexError, match="expected 0 to 39"):
            dense.scores(np.array([wrong]), np.ones(12, np.float32))
