"""Download of rcv1 and news20 as LIBSVM publishes them, with a check of their shapes."""

from __future__ import annotations

import bz2
import shutil
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_svmlight_file

from preprocess.text import UserError, unfinished

URL = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary"
TIMEOUT = 10  # seconds without a byte after which the stand-ins are used


class Original(NamedTuple):
    """A file of LIBSVM's site. It has no published checksum, so its shape is checked."""

    file: str
    shape: tuple[int, int]


ORIGINALS = {
    "rcv1": Original("rcv1_train.binary", (20_242, 47_236)),
    "news20": Original("news20.binary", (19_996, 1_355_191)),
}


def fetch(name: str, folder: Path) -> Path | None:
    """Return the path of a downloaded original, or None if the download fails."""
    path = folder / f"{ORIGINALS[name].file}.bz2"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = unfinished(path)
    try:
        with urllib.request.urlopen(f"{URL}/{path.name}", timeout=TIMEOUT) as response:
            with open(part, "wb") as stream:
                shutil.copyfileobj(response, stream)
        part.replace(path)
    except (HTTPException, OSError) as error:
        print(f"{name}: no download ({error}); its stand-in is used", flush=True)
        return None
    finally:
        part.unlink(missing_ok=True)
    return path


def read(name: str, path: Path) -> tuple[Any, np.ndarray]:
    """Return the CSR matrix, shape (n, d), and the labels, shape (n,), of an original.

    Raises:
        UserError: the file is damaged, or its shape is not the published one
    """
    shape = ORIGINALS[name].shape
    try:
        with bz2.open(path) as stream:
            x, y = load_svmlight_file(stream)
    except (OSError, EOFError, ValueError) as error:
        text = f"{path} is no LIBSVM file ({error}); remove it and run this again"
        raise UserError(text) from error
    if x.shape != shape:
        raise UserError(f"{path} has shape {x.shape}; expected {shape}: remove it and run again")
    return x, y
