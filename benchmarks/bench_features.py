"""How fast features are built and scored, on one core, on generated data.

Run alone: ``python benchmarks/bench_features.py``. Ratios and rates are medians of one run.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # one core is what the targets are stated for
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for the generated data, below

import numpy as np  # noqa: E402

from fairseq_autoassist.core.features import (  # noqa: E402
    Features,
    Fingerprint,
    Manifest,
    block_files,
)
from tests.support.corpus import write_data_bin  # noqa: E402

BUILD_TARGET = 200_000  # pairs/s
SCORE_TARGET = 5_000_000  # pairs/s at 32 non-zeros a pair
REPEATS = 5
DIMENSIONS = 64_000
NONZEROS = 32


def write_features(folder: Path, rows: int, dimensions: int = DIMENSIONS) -> Features:
    """Features of ``rows`` pairs with NONZEROS random columns each, written straight to disk."""
    rng = np.random.default_rng(0)
    nnz = rows * NONZEROS
    files = block_files(folder, 0)
    np.arange(0, nnz + 1, NONZEROS, dtype="<i4").tofile(files.indptr)
    rng.integers(0, dimensions, nnz, dtype="<i4").tofile(files.indices)
    rng.random(nnz, dtype="<f4").tofile(files.data)
    none = Fingerprint(rows, "", "", "")
    half = dimensions // 2
    Manifest(rows, dimensions, half, nnz, (rows,), (nnz,), none, "train", "de", "en").save(folder)
    return Features.open(folder)


def _plain_arrays(folder: Path) -> tuple[np.ndarray, ...]:
    return tuple(
        np.fromfile(path, dtype) for path, dtype in zip(block_files(folder, 0), ("i4", "i4", "f4"))
    )


def _score_one(arrays: tuple[np.ndarray, ...], weights: np.ndarray, i: int) -> float:
    """One pair, as a per-pair loop would do it at its best: two slices and a dot product."""
    indptr, indices, data = arrays
    low, high = indptr[i], indptr[i + 1]
    return data[low:high] @ weights[indices[low:high]]


def _seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median wall time of ``call``, after one call that warms the caches."""
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _result(name: str, value: float, unit: str, target: float) -> dict[str, object]:
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "target": target,
        "met": value >= target,
    }


def score_rate(rows: int = 1_000_000, chunk: int = 8192) -> list[dict[str, object]]:
    """Pairs scored per second, random ids, beside one Python iteration per pair."""
    with tempfile.TemporaryDirectory() as folder:
        features = write_features(Path(folder), rows)
        rng = np.random.default_rng(1)
        weights = rng.standard_normal(features.dimensions, dtype=np.float32)
        chunks = [rng.integers(0, rows, chunk) for _ in range(60)]
        vectorised = _seconds(lambda: [features.scores(ids, weights) for ids in chunks])
        few = chunks[0][:2000].tolist()
        arrays = _plain_arrays(Path(folder))
        loop = _seconds(lambda: [_score_one(arrays, weights, i) for i in few])
        rate, loop_rate = len(chunks) * chunk / vectorised, len(few) / loop
    name = f"features: score, {NONZEROS} non-zeros a pair, chunks of {chunk}"
    return [
        _result(name, rate, "pairs/s", SCORE_TARGET),
        _result("features: score, ratio to a per-pair loop", rate / loop_rate, "x", 10),
    ]


def build_rate(rows: int = 300_000) -> list[dict[str, object]]:
    """Pairs per second of ``autoassist-tfidf`` on WMT-like data (28 tokens a side)."""
    from fairseq_autoassist.tfidf.build import build_features

    with tempfile.TemporaryDirectory() as folder:
        write_data_bin(Path(folder), rows)
        took = _seconds(lambda: build_features(folder, "de", "en", force=True, progress=False))
    return [_result("features: build TF-IDF", rows / took, "pairs/s", BUILD_TARGET)]


if __name__ == "__main__":
    print(json.dumps(build_rate() + score_rate(), indent=2))
