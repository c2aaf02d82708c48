"""Store of rows: exact rows in the order of the ids, or a clear error."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_autoassist.errors import AutoAssistError, FeatureError
from fairseq_autoassist.features.commands import (
    build_command,
    feature_folder,
)
from fairseq_autoassist.features.files import block_files
from fairseq_autoassist.features.manifest import FORMAT_VERSION, Manifest
from fairseq_autoassist.features.store import Features
from fairseq_autoassist.features.tfidf.writer import RowWriter
from fairseq_autoassist.text.fingerprint import Fingerprint

ROOT = Path(__file__).resolve().parents[2]
PRINT = Fingerprint(rows=40, source_dict="a" * 64, target_dict="b" * 64, sizes="c" * 64)


def store(folder: Path, matrix: sp.csr_array, block_nonzeros: int = 2**31 - 1) -> Path:
    """Write the rows of ``matrix`` as features."""
    folder.mkdir(parents=True)
    with RowWriter(folder, block_nonzeros) as writer:
        writer.append(matrix)
    save_manifest(folder, matrix.shape[1], writer.blocks, writer.block_nonzeros)
    return folder


def save_manifest(folder: Path, dimensions: int, blocks: list, block_nonzeros: list) -> None:
    rows, nnz = sum(blocks), sum(block_nonzeros)
    made_of = replace(PRINT, rows=rows)
    Manifest(
        rows, dimensions, 3, nnz, tuple(blocks), tuple(block_nonzeros), made_of, "train", "en", "de"
    ).save(folder)


def random_matrix(rows: int = 40, dimensions: int = 30, seed: int = 0) -> sp.csr_array:
    """Rows of 0 to 9 non-zeros; some rows are empty."""
    rng = np.random.default_rng(seed)
    dense = rng.random((rows, dimensions)) * (rng.random((rows, dimensions)) < 0.15)
    dense[:: max(rows // 5, 1)] = 0
    return sp.csr_array(dense.astype(np.float32))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Equal rows in one block, in two, and in more than ten."""
    folder = tmp_path_factory.mktemp("features")
    matrix = random_matrix()
    limits = {1: 2**31 - 1, 2: 100, 3: int(np.diff(matrix.indptr).max())}
    opened = {n: Features.open(store(folder / str(n), matrix, lim)) for n, lim in limits.items()}
    assert [len(opened[1].manifest.blocks), len(opened[2].manifest.blocks)] == [1, 2]
    assert len(opened[3].manifest.blocks) > 10
    return {"matrix": matrix.toarray(), "opened": opened}


@pytest.mark.parametrize("blocks", [1, 2, 3])
@given(ids=st.lists(st.integers(0, 39), max_size=80))
@settings(max_examples=40, deadline=None)
def test_rows_come_in_the_order_of_ids(stored: dict, blocks: int, ids: list) -> None:
    features, matrix = stored["opened"][blocks], stored["matrix"]
    rows = features.gather(np.array(ids, dtype=np.int64)).matrix
    assert rows.dtype == np.float32 and rows.shape == (len(ids), 30)
    np.testing.assert_array_equal(rows.toarray(), matrix[ids])


@pytest.mark.parametrize("blocks", [1, 2, 3])
@given(ids=st.lists(st.integers(0, 39), max_size=80))
@settings(max_examples=40, deadline=None)
def test_scores_are_products_with_the_weights(stored: dict, blocks: int, ids: list) -> None:
    features, matrix = stored["opened"][blocks], stored["matrix"]
    weights = np.random.default_rng(1).standard_normal(30).astype(np.float32)
    found = features.scores(np.array(ids, dtype=np.int64), weights)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, matrix[ids] @ weights, rtol=1e-5, atol=1e-6)


def test_any_number_of_blocks_gives_the_same_matrix(stored: dict) -> None:
    for features in stored["opened"].values():
        assert (features.rows, features.dimensions) == (40, 30)
        np.testing.assert_array_equal(
            features.gather(np.arange(40)).matrix.toarray(), stored["matrix"]
        )


def test_rows_beyond_the_limit_of_int32_go_into_the_next_block(tmp_path: Path) -> None:
    matrix = sp.csr_array(np.ones((8, 3), dtype=np.float32))
    assert matrix.indptr.dtype == np.int32
    with RowWriter(tmp_path) as writer:
        writer.block_nonzeros[-1] = writer.limit - 16  # as if so many had been written
        writer.append(matrix)
    assert writer.blocks == [5, 3]
    assert writer.block_nonzeros == [writer.limit - 1, 9]


def test_ids_above_two_to_the_24_are_exact(tmp_path: Path) -> None:
    rows = 2**24 + 8  # float32 cannot tell 2**24 from 2**24 + 1
    files = block_files(tmp_path, 0)
    with open(files.indptr, "wb") as file:  # a file with a hole: all rows but the last 8 are empty
        file.truncate(4 * (rows + 1))
        file.seek(4 * (rows - 7))
        np.arange(1, 9, dtype="<i4").tofile(file)
    np.arange(8, dtype="<i4").tofile(files.indices)
    np.ones(8, dtype="<f4").tofile(files.data)
    save_manifest(tmp_path, 8, [rows], [8])
    ids = np.arange(rows - 8, rows, dtype=np.int64)[::-1]
    features = Features.open(tmp_path)
    np.testing.assert_array_equal(features.gather(ids).matrix.indices, np.arange(8)[::-1])
    weights = np.arange(8, dtype=np.float32)
    np.testing.assert_array_equal(features.scores(ids, weights), weights[::-1])


def test_opening_takes_no_memory_per_nonzero(tmp_path: Path) -> None:
    nnz = 2**28  # 2 GB of indices and data, all holes
    files = block_files(tmp_path, 0)
    np.array([0, 0, nnz], dtype="<i4").tofile(files.indptr)
    for path in (files.indices, files.data):
        with open(path, "wb") as file:
            file.truncate(4 * nnz)
    save_manifest(tmp_path, 8, [2], [nnz])
    tracemalloc.start()
    try:
        features = Features.open(tmp_path)
        assert features.gather(np.array([0, 0])).matrix.nnz == 0
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_features_without_nonzeros_are_read(tmp_path: Path) -> None:
    features = Features.open(store(tmp_path / "f", sp.csr_array((3, 5), dtype=np.float32)))
    assert features.gather(np.array([2, 0])).matrix.toarray().tolist() == [[0] * 5] * 2
    assert features.scores(np.array([1]), np.ones(5, np.float32)).tolist() == [0]


def test_a_row_larger_than_a_block_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="more than 2"):
        store(tmp_path / "f", sp.csr_array(np.ones((2, 3), np.float32)), block_nonzeros=2)


def test_pickle_sends_the_path_only(stored: dict) -> None:
    features = stored["opened"][2]
    sent = pickle.dumps(features)
    assert len(sent) < 1000
    ids = np.array([7, 3])
    again = pickle.loads(sent).gather(ids).matrix
    np.testing.assert_array_equal(again.toarray(), features.gather(ids).matrix.toarray())


def test_the_store_needs_neither_torch_nor_fairseq(stored: dict) -> None:
    code = (
        "import sys; from fairseq_autoassist.features.store import Features; import numpy as np\n"
        "Features.open(sys.argv[1]).gather(np.array([0]))\n"
        "sys.exit(sum(name in ('torch', 'fairseq') for name in sys.modules))"
    )
    folder = str(stored["opened"][1].folder)
    run = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, timeout=60)
    assert run.returncode == 0


@pytest.mark.parametrize("ids", [np.array([1.0]), np.array([[1]]), np.array(1)])
def test_ids_must_be_a_row_of_integers(stored: dict, ids: np.ndarray) -> None:
    with pytest.raises(TypeError, match="ids must be integers"):
        stored["opened"][1].gather(ids)


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("wrong", [-1, 40, 2**40])
def test_ids_out_of_range_are_refused(stored: dict, blocks: int, wrong: int) -> None:
    with pytest.raises(IndexError, match="expected 0 to 39"):
        stored["opened"][blocks].scores(np.array([3, wrong]), np.ones(30, np.float32))


def test_weights_of_another_shape_are_refused(stored: dict) -> None:
    with pytest.raises(ValueError, match=r"expected \(30,\)"):
        stored["opened"][1].scores(np.array([0]), np.ones(31, np.float32))


def _edit_manifest(folder: Path, **changes: object) -> None:
    raw = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**raw, **changes}))


def _truncate(folder: Path, part: str) -> None:
    path = folder / f"block0.{part}"
    path.write_bytes(path.read_bytes()[:-4])


DAMAGES = {
    "data truncated": (lambda f: _truncate(f, "data"), "block0.data is truncated"),
    "indices truncated": (lambda f: _truncate(f, "indices"), "block0.indices is truncated"),
    "indptr truncated": (lambda f: _truncate(f, "indptr"), "block0.indptr is truncated"),
    "too long": (lambda f: open(f / "block0.data", "ab").write(b"1234"), "is too long"),
    "array missing": (lambda f: (f / "block0.indices").unlink(), "block0.indices is missing"),
    "indptr damaged": (
        lambda f: (f / "block0.indptr").write_bytes(bytes(4 * 41)),
        "block0.indptr is damaged",
    ),
    "manifest missing": (lambda f: (f / "manifest.json").unlink(), "no features found"),
    "other version": (
        lambda f: _edit_manifest(f, format_version=99),
        f"version 99, expected {FORMAT_VERSION}",
    ),
    "no JSON": (lambda f: (f / "manifest.json").write_text('{"rows": 4'), "cannot read"),
    "not text": (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe\x00"), "cannot read"),
    "JSON of another kind": (lambda f: (f / "manifest.json").write_text("[]"), "version None"),
    "field of another type": (lambda f: _edit_manifest(f, blocks=3), "not a feature manifest"),
    "rows do not add up": (lambda f: _edit_manifest(f, rows=41), "not a feature manifest"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_with_the_mending_command(tmp_path: Path, damage: str) -> None:
    folder = store(feature_folder(tmp_path, "train", "en", "de"), random_matrix())
    break_it, message = DAMAGES[damage]
    Features.open(folder)
    break_it(folder)
    with pytest.raises(FeatureError, match=message) as caught:
        Features.open(folder)
    command = f"autoassist-tfidf {tmp_path} --source-lang en --target-lang de"
    assert command in str(caught.value) and "\n" not in str(caught.value)
    assert isinstance(caught.value, AutoAssistError)


def test_a_missing_folder_is_refused_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match="no features found.* with: autoassist-tfidf a:b$"):
        Features.open(feature_folder(tmp_path, "train", "en", "de"), build_command("a:b"))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("rows", 41, "rows .*: found 40, expected 41"),
        ("source_dict", "x" * 64, "source dictionary: found aaaa.*, expected xxxx"),
        ("target_dict", "x" * 64, "target dictionary: found bbbb.*, expected xxxx"),
        ("sizes", "x" * 64, "sizes .*: found cccc.*, expected xxxx"),
    ],
)
def test_features_of_another_data_bin_are_refused(
    stored: dict, field: str, value: object, said: str
) -> None:
    features = stored["opened"][1]
    features.check(PRINT)
    with pytest.raises(FeatureError, match=said) as caught:
        features.check(replace(PRINT, **{field: value}))
    assert "autoassist-tfidf" in str(caught.value)
    assert str(caught.value).count("expected") == 1  # only what differs is named
