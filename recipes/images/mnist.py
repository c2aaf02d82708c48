"""MNIST from its idx files, and rotated MNIST."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from preprocess.text import UserError
from recipes.common.data import Corpus, find
from recipes.images.arrays import Arrays

MNIST = Corpus(
    name="mnist",
    url="https://ossci-datasets.s3.amazonaws.com/mnist",
    sha256={
        "train-images-idx3-ubyte.gz": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    },
)
TURN = 90.0  # degrees; the angles of rotated MNIST are in [-TURN, TURN]
ANGLES = 0  # seed of the angles; the same in every run, since the data are
CHUNK = 10_000  # images rotated at once
UNSIGNED_BYTES = 8  # idx's code of the type


def read_idx(path: Path) -> np.ndarray:
    """Return the array of a gzipped idx file of unsigned bytes.

    Raises:
        UserError: the file is not an idx file of unsigned bytes
    """
    with gzip.open(path) as stream:
        content = stream.read()
    if len(content) >= 4:
        zeros, kind, axes = struct.unpack(">HBB", content[:4])
        start = 4 + 4 * axes
        if zeros == 0 and kind == UNSIGNED_BYTES and len(content) >= start:
            shape = struct.unpack(f">{axes}I", content[4:start])
            if len(content) == start + math.prod(shape):
                return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    raise UserError(
        f"{path} is no idx file of unsigned bytes; expected one of MNIST's four files: remove it "
        f"and run this again"
    )


def angles(count: int, split: str) -> np.ndarray:
    """Return an angle in degrees for each image of a split: float32 (count,), always the same."""
    rng = np.random.Generator(np.random.Philox([ANGLES, len(split)]))
    return rng.uniform(-TURN, TURN, count).astype(np.float32)


def rotate(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Turn each image counter-clockwise about its middle, by bilinear interpolation.

    Args:
        images: uint8 (n, height, width); pixels from outside the image are 0
        degrees: float32 (n,)

    Returns:
        uint8 (n, height, width)
    """
    found = []
    for start in range(0, len(images), CHUNK):
        chunk = torch.from_numpy(images[start : start + CHUNK].astype(np.float32))[:, None]
        turn = torch.from_numpy(np.deg2rad(degrees[start : start + CHUNK]))
        cos, sin, zero = torch.cos(turn), torch.sin(turn), torch.zeros_like(turn)
        matrix = torch.stack([cos, -sin, zero, sin, cos, zero], 1).reshape(-1, 2, 3)
        grid = functional.affine_grid(matrix, list(chunk.shape), align_corners=False)
        turned = functional.grid_sample(chunk, grid, align_corners=False)
        found.append(turned[:, 0].round().clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(found)


def load(downloads: Path, rotated: bool = False) -> Arrays:
    """Return MNIST: 60,000 training and 10,000 test images of 28 x 28.

    Args:
        downloads: folder of downloads
        rotated: turn each image by a random angle

    Raises:
        UserError: a file is missing or damaged
    """
    paths = find(MNIST, downloads)
    parts = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(paths[f"{prefix}-images-idx3-ubyte.gz"])
        if rotated:
            images = rotate(images, angles(len(images), split))
        parts[split] = images[:, None], read_idx(paths[f"{prefix}-labels-idx1-ubyte.gz"])
    name = "rotated-mnist" if rotated else "mnist"
    return Arrays(name, *parts["train"], *parts["test"], classes=10)
