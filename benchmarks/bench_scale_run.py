"""Cost of a run on a large corpus besides planning: start-up, checkpoints, memory of ranks."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from .bench_ranks import bytes_of, ranks_on
from .bench_scale_data import VirtualFeatures, lengths
from .measure import Result, at_most, informative

START_TARGET = 10.0  # seconds
GROWTH_TARGET = 2.0  # MB
WORLDS = (1, 8)
_FEW = 4000  # pairs, so few that nearly all memory is the program's
_REPEATS = 3
_TIMEOUT = 300.0
_STEPS = {
    "get_batch_iterator": "checks and filtering by length",
    "next_epoch_itr": "start of the worker process, length of the epoch",
    "first_batch": "wait for the first batch",
}


def starting(data_bin: Path, pairs: int, batches: int) -> list[Result]:
    """Time from loaded data to the first batch, as in fairseq-train, and growth of a checkpoint.

    Args:
        data_bin: with features
        batches: taken before the size of the state is measured
    """
    looked_at = [0] * (_REPEATS - 1) + [batches]
    runs = [_child(data_bin, "translation_autoassist", count) for count in looked_at]
    stock = _child(data_bin, "translation", 0)
    seconds = sorted(run["start"] for run in runs)
    what = f"start-up with {pairs:,} pairs"
    last = runs[-1]
    return [
        at_most(f"{what}: to the first batch", statistics.median(seconds), "s", START_TARGET),
        informative("start-up: slowest of the repeats", seconds[-1], "s"),
        *(
            informative(f"start-up: {told}", statistics.median(run[step] for run in runs), "s")
            for step, told in _STEPS.items()
        ),
        informative("start-up: the same with fairseq's own task", stock["start"], "s"),
        informative("start-up: before that, fairseq loads the data", last["load"], "s"),
        at_most("checkpoint: growth, a rank", last["growth"] / 1e6, "MB", GROWTH_TARGET),
        informative("checkpoint: of that, weights of the Assistant", last["weights"] / 1e6, "MB"),
        informative("checkpoint: pairs in open buckets", last["open_pairs"], "pairs"),
        informative("checkpoint: growth, 8 ranks together", last["growth_of_many"] / 1e6, "MB"),
    ]


def memory(features: Path, pairs: int, worlds: tuple[int, ...] = WORLDS) -> list[Result]:
    """Bytes per pair and rank beside the mapped features, as bench_ranks measures them."""
    few = _figures(None, _FEW, 1)
    results: list[Result] = []
    for world in worlds:
        many = _figures(features, pairs, world)
        results += bytes_of(many, few, pairs, f"ranks: {world}", judged=True)
    return results


def _figures(features: Path | None, pairs: int, world: int) -> list:
    """Figures of ranks over the given features, or over few generated ones."""
    if features is None:
        from .bench_features import write_features

        with tempfile.TemporaryDirectory() as name:
            write_features(Path(name), pairs, VirtualFeatures.dimensions)
            return _figures(Path(name), pairs, world)
    sizes = features / "sizes.npy"  # memory of files in the features' folder is not counted
    np.save(sizes, np.stack(lengths(pairs)))
    try:
        return ranks_on(str(features), world)
    finally:
        sizes.unlink()


def _child(data_bin: Path, task: str, batches: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bench_scale_child", str(data_bin), task]
    # loader workers of a run that ends leave a folder of torch behind
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            [*command, str(batches)],
            env={**os.environ, "TMPDIR": name},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
        )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
