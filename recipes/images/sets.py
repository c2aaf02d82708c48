"""Sets of images by name, and the stem of the network for each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from preprocess.text import UserError
from recipes.images import cifar, mnist
from recipes.images.arrays import Images
from recipes.images.noise import add_noise

TITLES = {
    "mnist": "MNIST",
    "rotated-mnist": "rotated MNIST",
    "cifar10": "CIFAR-10",
    "photos": "photos",
}
STEM = {"mnist": "digit", "rotated-mnist": "digit", "cifar10": "small", "photos": "photo"}
NOISE = re.compile(r"(?P<name>.+)-noise(?P<percent>\d+)")


def parts(name: str) -> tuple[str, float]:
    """Return a set's plain name, and the share of its labels replaced: `cifar10-noise40`.

    Raises:
        UserError: no set has that name
    """
    found = NOISE.fullmatch(name)
    plain, percent = (found["name"], int(found["percent"])) if found else (name, 0)
    if plain not in TITLES or percent > 100:
        raise UserError(
            f"found the set {name!r}; expected one of {', '.join(TITLES)}, or one of them with "
            f"-noise40 behind it for 40% of labels replaced"
        )
    return plain, percent / 100


def title(name: str) -> str:
    """Title of a set on figures."""
    plain, share = parts(name)
    return TITLES[plain] + (f", {share:.0%} of labels replaced" if share else "")


def stem(name: str) -> str:
    """Stem of the network for a set's images: a key of `models.STEMS`."""
    return STEM[parts(name)[0]]


def load(name: str, cache: Path, photos: Path | None, side: int, workers: int) -> Images:
    """Return a set of images.

    Args:
        name: see `parts`
        cache: folder of downloads and features
        photos: folder in ImageNet's layout; None: published photos
        side: side in pixels of the square cut from a photo
        workers: processes that read photos

    Raises:
        UserError: no set has that name, or it is neither found nor downloaded
    """
    plain, share = parts(name)
    data: Any
    if plain == "photos":
        from recipes.images.photos import Photos, published

        data = Photos(plain, photos or published(cache), cache, side, workers)
    elif plain == "cifar10":
        data = cifar.load(cache)
    else:
        data = mnist.load(cache, rotated=plain == "rotated-mnist")
    data.name = name
    if share:
        add_noise(data, share)
    return data
