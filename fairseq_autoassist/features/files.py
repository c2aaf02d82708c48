"""Files of features, which are mapped from disk after a check of their sizes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from ..errors import FeatureError
from .manifest import Manifest


class BlockFiles(NamedTuple):
    """Paths of the three files of a block."""

    indptr: Path
    indices: Path
    data: Path


def block_files(folder: str | Path, block: int) -> BlockFiles:
    """Paths of block number ``block`` of a folder of features."""
    names = (f"block{block}.{part}" for part in BlockFiles._fields)
    return BlockFiles(*(Path(folder) / name for name in names))


def map_block(folder: Path, manifest: Manifest, b: int, command: str) -> sp.csr_array:
    """Map block ``b`` as CSR, without a copy."""
    rows, nonzeros = manifest.blocks[b], manifest.block_nonzeros[b]
    counts, dtypes = (rows + 1, nonzeros, nonzeros), (np.int32, np.int32, np.float32)
    indptr, indices, data = (
        map_file(path, count, dtype, command)
        for path, count, dtype in zip(block_files(folder, b), counts, dtypes)
    )
    if indptr[0] != 0 or indptr[-1] != nonzeros:
        raise FeatureError(
            f"{block_files(folder, b).indptr} is damaged: offsets {indptr[0]} to {indptr[-1]}, "
            f"expected 0 to {nonzeros}; {_rebuild(command)}"
        )
    return sp.csr_array((data, indices, indptr), shape=(rows, manifest.dimensions), copy=False)


def map_file(path: Path, count: int, dtype: type, command: str, force: bool = True) -> np.ndarray:
    """Map a file of ``count`` little-endian values of a type, without reading it.

    Args:
        path: of the file
        count: values it must hold
        dtype: of a value
        command: that mends it, for error messages
        force: whether the command needs --force, to replace existing files

    Raises:
        FeatureError: the file is missing, too short or too long
    """
    mend = _rebuild(command) if force else f"write it again with: {command}"
    wanted = count * np.dtype(dtype).itemsize
    try:
        found = path.stat().st_size
    except OSError as error:
        raise FeatureError(f"{path} is missing; {mend}") from error
    if found != wanted:
        raise FeatureError(
            f"{path} is {'truncated' if found < wanted else 'too long'}: found {found} bytes, "
            f"expected {wanted}; {mend}"
        )
    if not count:
        return np.empty(0, dtype=dtype)  # an empty file cannot be mapped
    little = np.dtype(dtype).newbyteorder("<")
    try:
        return np.asarray(np.memmap(path, dtype=little, mode="r", shape=(count,)))
    except OSError as error:
        raise FeatureError(f"{path} cannot be read ({error.strerror}); {mend}") from error


def _rebuild(command: str) -> str:
    return f"build the features again with: {command} --force"
