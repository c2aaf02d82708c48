"""Writer of CSR rows to block files, and reader of these, a chunk at a time."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import IO, Iterator, NamedTuple

import numpy as np
import scipy.sparse as sp

from ...errors import FeatureError
from ...text.binarized import read_array
from ..files import block_files
from ..store import BLOCK_NONZEROS

SPLITS_NAME = "splits"  # int32 (rows, 2): non-zeros of the source, and its unknown words


class Blocks(NamedTuple):
    """Numbers of rows and non-zeros of each block in a folder."""

    rows: tuple[int, ...]
    nonzeros: tuple[int, ...]


class RowWriter:
    """Appends rows to block files in ``folder``; a full block is followed by a new one."""

    def __init__(self, folder: Path, block_nonzeros: int = BLOCK_NONZEROS) -> None:
        self.folder = folder
        self.limit = block_nonzeros
        self.blocks: list[int] = []
        self.block_nonzeros: list[int] = []
        self._files: list[IO[bytes]] = []
        self._stack = ExitStack()

    def __enter__(self) -> RowWriter:
        self._start_block()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _start_block(self) -> None:
        for file in self._files:
            file.close()
        paths = block_files(self.folder, len(self.blocks))
        self._files = [self._stack.enter_context(open(path, "wb")) for path in paths]
        self._files[0].write(np.zeros(1, dtype="<i4").tobytes())
        self.blocks.append(0)
        self.block_nonzeros.append(0)

    def append(self, rows: sp.csr_array) -> None:
        """Append ``rows`` (n, dimensions) float32.

        Raises:
            FeatureError: one row has more non-zeros than a block may hold.
        """
        start = 0
        while start < rows.shape[0]:
            room = self.limit - self.block_nonzeros[-1]
            reach = int(rows.indptr[start]) + room  # int32 would wrap around near the limit
            stop = int(np.searchsorted(rows.indptr, reach, side="right")) - 1
            stop = min(stop, rows.shape[0], start + self.limit - self.blocks[-1])
            if stop > start:
                self._append_to_block(rows, start, stop)
            elif self.blocks[-1] == 0:
                raise FeatureError(f"a pair has more than {self.limit} different tokens")
            if stop < rows.shape[0]:
                self._start_block()
            start = stop

    def written(self) -> Blocks:
        """Blocks that are in the folder now."""
        return Blocks(tuple(self.blocks), tuple(self.block_nonzeros))

    def _append_to_block(self, rows: sp.csr_array, start: int, stop: int) -> None:
        low, high = int(rows.indptr[start]), int(rows.indptr[stop])
        offsets = rows.indptr[start + 1 : stop + 1].astype(np.int64) - low
        offsets += self.block_nonzeros[-1]
        self._files[0].write(offsets.astype("<i4").data)
        self._files[1].write(rows.indices[low:high].astype("<i4", copy=False).data)
        self._files[2].write(rows.data[low:high].astype("<f4", copy=False).data)
        self.blocks[-1] += stop - start
        self.block_nonzeros[-1] += high - low


class ValueChunk(NamedTuple):
    """Non-zeros of consecutive rows of a block.

    Attributes:
        block: number of the block
        indices, data: columns and values (m,)
        half_offsets: offsets of source and target of each row, in turn (2 n + 1,)
        unknown: number of unknown words of each source (n,)
    """

    block: int
    indices: np.ndarray
    data: np.ndarray
    half_offsets: np.ndarray
    unknown: np.ndarray

    @property
    def rows(self) -> int:
        """Number of pairs in the chunk."""
        return len(self.unknown)


def weights_file(folder: Path, block: int) -> Path:
    """Path of the finished values of a part's block, whose data file holds the counts."""
    return folder / f"block{block}.weights"


def value_chunks(folder: Path, blocks: Blocks, chunk_nonzeros: int) -> Iterator[ValueChunk]:
    """Read all rows of a counted part, a chunk at a time."""
    with open(folder / SPLITS_NAME, "rb") as file:
        for block, rows in enumerate(blocks.rows):
            files = block_files(folder, block)
            values = (files.indices, files.data)
            for offsets, indices, data in _read_rows(files.indptr, values, rows, chunk_nonzeros):
                splits = read_array(file, "<i4", 2 * (len(offsets) - 1)).reshape(-1, 2)
                half = np.repeat(offsets, 2)[:-1]
                half[1::2] += splits[:, 0]
                yield ValueChunk(block, indices, data, half, splits[:, 1])


def block_rows(
    folder: Path, blocks: Blocks, dimensions: int, chunk_nonzeros: int
) -> Iterator[sp.csr_array]:
    """Read all rows of a weighed part, a chunk at a time."""
    for block, rows in enumerate(blocks.rows):
        files = block_files(folder, block)
        values = (files.indices, weights_file(folder, block))
        for offsets, indices, data in _read_rows(files.indptr, values, rows, chunk_nonzeros):
            shape = (len(offsets) - 1, dimensions)
            yield sp.csr_array((data, indices, offsets.astype(np.int32)), shape=shape)


def _read_rows(
    indptr_path: Path, values: tuple[Path, Path], rows: int, chunk_nonzeros: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Read (offsets int64 (n + 1,) from 0, columns (m,), values (m,)) of consecutive rows."""
    indptr = np.memmap(indptr_path, "<i4", "r", shape=(rows + 1,))
    with open(values[0], "rb") as indices, open(values[1], "rb") as data:
        for start, stop in _row_ranges(indptr, chunk_nonzeros):
            offsets = indptr[start : stop + 1].astype(np.int64)
            offsets -= offsets[0]
            count = int(offsets[-1])
            yield offsets, read_array(indices, "<i4", count), read_array(data, "<f4", count)


def _row_ranges(indptr: np.ndarray, chunk_nonzeros: int) -> Iterator[tuple[int, int]]:
    """Consecutive row ranges of at most ``chunk_nonzeros`` non-zeros and as many rows."""
    start, rows = 0, len(indptr) - 1
    while start < rows:
        reach = min(int(indptr[start]) + chunk_nonzeros, int(indptr[-1]))
        # of the array's own type, otherwise numpy converts the whole array for every chunk
        stop = int(np.searchsorted(indptr, indptr.dtype.type(reach), side="right")) - 1
        stop = max(start + 1, min(stop, start + chunk_nonzeros, rows))
        yield start, stop
        start = stop
