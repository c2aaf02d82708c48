"""Rates of building and of scoring features, on one core, on generated data."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from fairseq_autoassist.features.files import block_files
from fairseq_autoassist.features.manifest import Manifest
from fairseq_autoassist.features.store import Features
from fairseq_autoassist.features.tfidf.build import build_features
from fairseq_autoassist.text.fingerprint import Fingerprint
from tests.support.corpus import write_data_bin

from .measure import Result, at_least, core_clock, median_seconds

BUILD_TARGET = 200_000  # pairs/s
SCORE_TARGET = 5_000_000  # pairs/s at NONZEROS a pair
LOOP_TARGET = 10  # times as fast as one Python iteration per pair
DIMENSIONS = 64_000
NONZEROS = 32
CHUNK = 8192  # pairs decided on at once in a large corpus, as in core/planner.py


def write_features(
    folder: Path, rows: int, dimensions: int = DIMENSIONS, zipf: bool = False
) -> Features:
    """Write features of ``rows`` pairs with NONZEROS random columns each.

    Columns are drawn evenly, which is hardest on the caches, or by Zipf's law, as words are.
    """
    rng = np.random.default_rng(0)
    nnz = rows * NONZEROS
    folder.mkdir(parents=True, exist_ok=True)
    files = block_files(folder, 0)
    np.arange(0, nnz + 1, NONZEROS, dtype="<i4").tofile(files.indptr)
    if zipf:
        frequency = np.cumsum(1.0 / np.arange(1, dimensions + 1))
        columns = np.searchsorted(frequency, rng.random(nnz) * frequency[-1]).astype("<i4")
    else:
        columns = rng.integers(0, dimensions, nnz, dtype="<i4")
    columns.tofile(files.indices)
    rng.random(nnz, dtype="<f4").tofile(files.data)
    none = Fingerprint(rows, "", "", "")
    half = dimensions // 2
    Manifest(rows, dimensions, half, nnz, (rows,), (nnz,), none, "train", "de", "en").save(folder)
    return Features.open(folder)


def plain_arrays(folder: Path) -> tuple[np.ndarray, ...]:
    """Read indptr, indices and data of features: the fastest form for a per-pair loop."""
    return tuple(
        np.fromfile(path, dtype) for path, dtype in zip(block_files(folder, 0), ("i4", "i4", "f4"))
    )


def score_one(arrays: tuple[np.ndarray, ...], weights: np.ndarray, i: int) -> float:
    """Score one pair as the fastest per-pair loop would: two slices and a dot product."""
    indptr, indices, data = arrays
    low, high = indptr[i], indptr[i + 1]
    return data[low:high] @ weights[indices[low:high]]


def score_rate(rows: int = 1_000_000, chunks: int = 60) -> list[Result]:
    """Pairs scored per second at random ids, and the ratio to one Python iteration per pair."""
    with tempfile.TemporaryDirectory() as folder:
        features = write_features(Path(folder), rows)
        rng = np.random.default_rng(1)
        weights = rng.standard_normal(features.dimensions, dtype=np.float32)
        ids = [rng.integers(0, rows, CHUNK) for _ in range(chunks)]
        few = ids[0][:2000].tolist()
        arrays = plain_arrays(Path(folder))
        vectorised, loop = median_seconds(
            [
                lambda: [features.scores(chunk, weights) for chunk in ids],
                lambda: [score_one(arrays, weights, i) for i in few],
            ],
            core_clock,
        )
    rate, loop_rate = chunks * CHUNK / vectorised, len(few) / loop
    name = f"features: score, {NONZEROS} non-zeros a pair, chunks of {CHUNK}"
    return [
        at_least(name, rate, "pairs/s", SCORE_TARGET),
        at_least("features: score, ratio to a per-pair loop", rate / loop_rate, "x", LOOP_TARGET),
    ]


def build_rate(rows: int = 300_000) -> list[Result]:
    """Pairs per second of ``autoassist-tfidf`` on WMT-like data (28 tokens a side)."""
    with tempfile.TemporaryDirectory() as folder:
        write_data_bin(Path(folder), rows)
        (took,) = median_seconds(
            [lambda: build_features(folder, "de", "en", force=True, progress=False)],
            time.perf_counter,  # by the wall clock: writing to disk is part of the work
        )
    return [at_least("features: build TF-IDF", rows / took, "pairs/s", BUILD_TARGET)]
