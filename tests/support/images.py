"""Small sets of images, records as runs write them, and processes that stand in for training."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from recipes.images.arrays import Arrays
from recipes.images.records import Record
from recipes.images.side_by_side import Place
from recipes.images.spec import Run

SIDE = 8  # pixels


def small(count: int = 96, classes: int = 3, channels: int = 1, name: str = "mnist") -> Arrays:
    """Images whose class is the place of a bright row; half as many to test on."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, classes, n)
        images = rng.integers(0, 100, (n, channels, SIDE, SIDE))
        images[np.arange(n), :, 2 * labels] += 120
        return images.astype(np.uint8), labels

    return Arrays(name, *draw(count), *draw(count // 2), classes=classes)


def run_of(arm: str = "sgd", **others: Any) -> Run:
    """Settings of a run that takes no time."""
    settings = {"budget": 64, "batch": 16, "width": 2, "rate": 0.05, "marks": 2, **others}
    return Run("mnist", "resnet18", arm, **settings)


def record(
    arm: str = "sgd",
    errors: Sequence[float] = (0.5, 0.2),
    speed: float = 1000.0,
    session: str = "one",
    choosing: float = 0.0,
    **others: Any,
) -> Record:
    """Make a record with a mark every 100 samples, and these test errors.

    Args:
        speed: samples a second
        choosing: share of the seconds
    """
    run = run_of(arm, **{"budget": 100 * len(errors), **others})
    samples = [100.0 * (number + 1) for number in range(len(errors))]
    seconds = [value / speed for value in samples]
    curve = {
        "samples": samples,
        "seconds": seconds,
        "train_loss": [float(error) for error in errors],
        "test_error": [float(error) for error in errors],
    }
    if arm == "autoassist":
        curve.update(acc=[0.8] * len(errors), majority=[0.9] * len(errors))
    ends = {
        "samples": samples[-1],
        "seconds": seconds[-1],
        "choosing_seconds": choosing * seconds[-1],
        "test_error": float(errors[-1]),
        "train_loss": float(errors[-1]),
        "wrong_trained": 0.25,
    }
    return Record(run, run.settings, session, curve, ends, {})


def place(folder: Path, jobs: int = 2, deadline: float | None = None) -> Place:
    """Place on this machine's CPU, without data."""
    return Place("one", folder, "cpu", 1, 0, jobs, deadline)


def pretend(run: Run, where: Place, pipe: Connection) -> None:
    """Stand in for training: end at once; seed 13 dies, seed 14 is out of time."""
    if run.seed == 13:
        os._exit(1)
    pipe.send(None if run.seed == 14 else record(run.arm, seed=run.seed).as_line())


def linger(run: Run, where: Place, pipe: Connection) -> None:
    """Stand in for training: write the process id, and never end."""
    (where.cache / "pid").write_text(str(os.getpid()))
    time.sleep(600)
