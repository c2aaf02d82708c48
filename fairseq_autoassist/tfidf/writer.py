"""Writes CSR rows to block files as they come, then lets their values be replaced in place."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import IO, Iterator, NamedTuple

import numpy as np
import scipy.sparse as sp

from ..core.features import BLOCK_NONZEROS, block_files
from ..errors import FeatureError
from .binarized import read_array


class RowWriter:
    """Appends rows to ``folder``, opening a new block when one is full.

    With each row goes its split: how many of its non-zeros belong to the source. Splits lie in a
    side file that ``value_chunks`` needs and removes.
    """

    def __init__(self, folder: Path, block_nonzeros: int = BLOCK_NONZEROS) -> None:
        self.folder = folder
        self.limit = block_nonzeros
        self.blocks: list[int] = []
        self.block_nonzeros: list[int] = []
        self._files: list[IO[bytes]] = []
        self._stack = ExitStack()
        self._splits = self._stack.enter_context(open(folder / "splits", "wb"))

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

    def append(self, rows: sp.csr_array, splits: np.ndarray) -> None:
        """Append ``rows`` (n, dimensions) float32, of which the first ``splits[i]`` non-zeros of
        row i (n,) are the source's.

        Raises:
            FeatureError: one row alone has more non-zeros than a block may hold.
        """
        self._splits.write(splits.astype("<i4").data)
        start = 0
        while start < rows.shape[0]:
            room = self.limit - self.block_nonzeros[-1]
            reach = rows.indptr[start] + room
            stop = int(np.searchsorted(rows.indptr, reach, side="right")) - 1
            stop = min(stop, rows.shape[0], start + self.limit - self.blocks[-1])
            if stop > start:
                self._append_to_block(rows, start, stop)
            elif self.blocks[-1] == 0:
                raise FeatureError(f"a pair has more than {self.limit} different tokens")
            if stop < rows.shape[0]:
                self._start_block()
            start = stop

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
    """Non-zeros of consecutive rows: columns and values (m,), and half-row offsets (2 n + 1,),
    source and target of each row by turns."""

    indices: np.ndarray
    data: np.ndarray
    half_offsets: np.ndarray

    @property
    def rows(self) -> int:
        """Number of pairs in the chunk."""
        return len(self.half_offsets) // 2


def value_chunks(writer: RowWriter, chunk_nonzeros: int) -> Iterator[ValueChunk]:
    """All rows of a finished writer, a chunk at a time; ``data`` is written back after each step,
    so that the caller changes it in place."""
    with open(writer.folder / "splits", "rb") as splits:
        for block, rows in enumerate(writer.blocks):
            files = block_files(writer.folder, block)
            indptr = np.memmap(files.indptr, "<i4", "r", shape=(rows + 1,))
            with open(files.data, "r+b") as data, open(files.indices, "rb") as indices:
                for start, stop in _row_ranges(indptr, chunk_nonzeros):
                    offsets = indptr[start : stop + 1].astype(np.int64)
                    low, count = int(offsets[0]), int(offsets[-1] - offsets[0])
                    half = np.repeat(offsets - low, 2)[: 2 * (stop - start) + 1]
                    half[1::2] += read_array(splits, "<i4", stop - start)
                    data.seek(4 * low)
                    values = read_array(data, "<f4", count)
                    yield ValueChunk(read_array(indices, "<i4", count), values, half)
                    data.seek(4 * low)
                    data.write(values.data)
    (writer.folder / "splits").unlink()


def _row_ranges(indptr: np.ndarray, chunk_nonzeros: int) -> Iterator[tuple[int, int]]:
    """Consecutive row ranges of at most ``chunk_nonzeros`` non-zeros and as many rows."""
    start, rows = 0, len(indptr) - 1
    while start < rows:
        reach = int(indptr[start]) + chunk_nonzeros
        stop = int(np.searchsorted(indptr, reach, side="right")) - 1
        stop = max(start + 1, min(stop, start + chunk_nonzeros, rows))
        yield start, stop
        start = stop
