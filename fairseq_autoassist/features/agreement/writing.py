"""Writer of the agreement of a data-bin; a reader notices if it is incomplete."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import FeatureError
from .files import AGREEMENT_NAME, CODES_NAME, PRIOR_NAME

PICTURE_NAME = "agreement.png"


class Written(NamedTuple):
    """Content for a folder of features.

    Attributes:
        folder: of the features
        prior: float32 (rows,), in (0, 1]
        codes: bins of the statistics, uint8 (rows, statistics)
        told: content of agreement.json without the hashes of the other two
    """

    folder: Path
    prior: np.ndarray
    codes: np.ndarray
    told: dict[str, Any]


def publish(one: Written, picture: Path, place: Path) -> None:
    """Write the files to a staging folder, then rename them, agreement.json last.

    Without agreement.json the others are refused. It has the hashes of prior and bins, so a kill
    in between is noticed.

    Args:
        one: content and its folder
        picture: a PNG to copy
        place: a staging folder on the same file system
    """
    prior = one.prior.astype("<f4").tobytes()
    bins = one.codes.astype(np.uint8).tobytes()
    hashes = {
        "prior_sha256": hashlib.sha256(prior).hexdigest(),
        "bins_sha256": hashlib.sha256(bins).hexdigest(),
    }
    told = {**one.told, **hashes}
    text = json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    contents = {
        PRIOR_NAME: prior,
        CODES_NAME: bins,
        PICTURE_NAME: picture.read_bytes(),
        AGREEMENT_NAME: text.encode(),
    }
    parts = {name: place / f"{name}.new" for name in contents}
    for name, content in contents.items():
        parts[name].write_bytes(content)
    (one.folder / AGREEMENT_NAME).unlink(missing_ok=True)
    for name, part in parts.items():
        os.replace(part, one.folder / name)


def check_export(path: Path) -> None:
    """Refuse a path that `export` could not write to, before any work.

    Raises:
        FeatureError: it is a folder, a device or a pipe, or its own folder is missing or read-only
    """
    if path.exists() and not path.is_file():  # a renamed file would replace /dev/null
        found = "a folder" if path.is_dir() else "a device or a pipe"
        raise FeatureError(f"--export {path}: found {found}, expected the name of a file")
    folder = _followed(path).parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FeatureError(
            f"--export {path}: cannot write to {folder} ({error.strerror}), expected a folder that "
            "is there and may be written to"
        ) from error


def export(prior: np.ndarray, path: Path) -> None:
    """Write the prior as text, a number a line, for other toolkits; the file appears whole."""
    target = _followed(path)
    part = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    try:
        with open(part, "w", encoding="ascii") as file:
            np.savetxt(file, prior, fmt="%.6g")
        os.replace(part, target)
    except OSError as error:
        raise FeatureError(
            f"--export {path}: {error.strerror or error}; the prior beside the features is whole; "
            "make room, or name a file on another disk"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _followed(path: Path) -> Path:
    """Give the absolute path of a file, through links, so that a link to it stays."""
    return Path(os.path.realpath(path))
