"""CIFAR-10, from lossless grids of images or from the published binary files.

The last 5,000 training images are held out and used for testing, together with the test images:
1,000 beside the grids, 10,000 in the published archive.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from preprocess.text import UserError
from recipes.common.archives import Archive, extract, fetched
from recipes.common.data import Corpus, find
from recipes.images.arrays import Arrays

HELD_OUT = 5_000
SIDE = 32  # pixels
ROW = 1 + 3 * SIDE * SIDE  # bytes of a published image: its label, then its pixels by channel
BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))

GRIDS = Corpus(
    name="cifar10",
    url="",
    sha256={
        "data_batch_1.webp": "300ffcf194c8f61c75b8c5953a174409b8330fab73d07248898f6ccada5e7cca",
        "data_batch_2.webp": "4515f0ede7ffd142fddb4729acfdf1fb65d12870990ad8b1965ac4a373033807",
        "data_batch_3.webp": "7aae7d19f0a73bff547175b943476119a8c8095bc79ac54aab0df64c8d71c719",
        "data_batch_4.webp": "e1efb601e48cbadc2a04109457693df681bf3c45a20b535e0f0a94312fff80e5",
        "data_batch_5.webp": "c8e9792848a0a5278c0b1a0061ed5a9075aba417cd48cc0fe9ba6f4d3da9cfa4",
        "train_labels.bin": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "test_first1000.webp": "829db5a98561dadfd4272029fd3709add526ba1746b4ed147ebce38166e4c220",
        "test_first1000_labels.bin": (
            "636a087e604331a0b9dafc94b6e9ade0c9cec72c4400d12473ccdb3e264474c1"
        ),
    },
)
# https://www.cs.toronto.edu/~kriz/cifar.html, "CIFAR-10 binary version"
BINARY = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    size=170_052_171,
    algorithm="md5",
    digest="c32a1d4ab5d03f1284b67883e8d87530",
)
INSIDE = "cifar-10-batches-bin"  # the archive's folder

Split = tuple  # images uint8 (n, 3, 32, 32), labels (n,)


def read_grid(path: Path) -> np.ndarray:
    """Return the images of a grid, row by row: uint8 (n, 3, 32, 32)."""
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    cut = pixels.reshape(rows, SIDE, columns, SIDE, 3)
    return np.ascontiguousarray(cut.transpose(0, 2, 4, 1, 3)).reshape(-1, 3, SIDE, SIDE)


def read_binary(path: Path) -> Split:
    """Return the images, uint8 (n, 3, 32, 32), and labels, uint8 (n,), of a published binary file.

    Raises:
        UserError: the length of the file is no multiple of an image's
    """
    content = np.fromfile(path, np.uint8)
    if not len(content) or len(content) % ROW:
        raise UserError(
            f"{path} has {len(content):,} bytes; expected a multiple of {ROW:,}: remove it and run "
            f"this again"
        )
    rows = content.reshape(-1, ROW)
    return rows[:, 1:].reshape(-1, 3, SIDE, SIDE), rows[:, 0]


def _from_grids(paths: dict[str, Path]) -> tuple[Split, Split]:
    train = np.concatenate([read_grid(paths[f"{name}.webp"]) for name in BATCHES])
    test = read_grid(paths["test_first1000.webp"])
    labels = [np.fromfile(paths[f"{n}_labels.bin"], np.uint8) for n in ("train", "test_first1000")]
    return (train, labels[0]), (test, labels[1])


def _from_archive(archive: Path, folder: Path) -> tuple[Split, Split]:
    names = [f"{INSIDE}/{name}.bin" for name in (*BATCHES, "test_batch")]
    extract(archive, names, folder)
    parts = [read_binary(folder / name) for name in names]
    images, labels = zip(*parts[:-1])
    return (np.concatenate(images), np.concatenate(labels)), parts[-1]


def _splits(downloads: Path) -> tuple[Split, Split]:
    archive = fetched(BINARY, GRIDS, downloads)
    if archive is None:
        return _from_grids(find(GRIDS, downloads))
    return _from_archive(archive, downloads)


def load(downloads: Path) -> Arrays:
    """Return CIFAR-10: 45,000 training images and 6,000 or 15,000 test images of 32 x 32.

    Raises:
        UserError: a file is missing or damaged
    """
    (images, labels), (others, their_labels) = _splits(downloads)
    kept = len(images) - HELD_OUT
    test = np.concatenate([images[kept:], others])
    test_labels = np.concatenate([labels[kept:], their_labels])
    data = Arrays("cifar10", images[:kept], labels[:kept], test, test_labels, classes=10)
    data.moves = True
    return data
