"""MNIST's files with few images: real ones where the data are there, else drawn ones."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np

from recipes.common.data import ROOT

_MAGIC = {1: 0x801, 3: 0x803}


def small_mnist(folder: Path, train: int = 1500, test: int = 300) -> Path:
    """Write ``mnist/`` into a folder of data, as AUTOASSIST_DATA names one."""
    (folder / "mnist").mkdir(parents=True)
    for part, count in (("train", train), ("t10k", test)):
        images, labels = _real(part, count) or _drawn(count)
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = np.array([_MAGIC[values.ndim], *values.shape], dtype=">i4").tobytes()
            data = gzip.compress(header + values.astype(np.uint8).tobytes())
            (folder / "mnist" / f"{part}-{name}-ubyte.gz").write_bytes(data)
    return folder


def _real(part: str, count: int) -> tuple[np.ndarray, np.ndarray] | None:
    named = os.environ.get("AUTOASSIST_DATA", str(ROOT.parent / "shared" / "data"))
    found = []
    for name, skipped, shape in (("images-idx3", 16, (-1, 28, 28)), ("labels-idx1", 8, (-1,))):
        path = Path(named) / "mnist" / f"{part}-{name}-ubyte.gz"
        if not path.exists():
            return None
        raw = gzip.decompress(path.read_bytes())
        found.append(np.frombuffer(raw, np.uint8, offset=skipped).reshape(shape)[:count])
    return found[0], found[1]


def _drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw images of noise in which each class is a bright square at its own place."""
    rng = np.random.default_rng(count)
    labels = np.arange(count) % 10
    images = rng.integers(0, 100, (count, 28, 28))
    for image, label in zip(images, labels):
        row, column = 4 + 10 * (label // 5), 4 + 4 * (label % 5)
        image[row : row + 6, column : column + 4] += 150
    return images, labels
