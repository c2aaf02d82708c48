"""Trace of a run: the items that it trained on, in order, in a file for each rank.

Each micro-batch is a block of little-endian int64: update, micro-batch, number of items n, and n
item ids. Ids count within a data set. Blocks of an update are written when the update is made.

A run resumed from an earlier checkpoint appends its blocks. At each block `read` drops the earlier
blocks of later updates, and those of the same update from this micro-batch on. It compares updates,
because a new pass may count micro-batches from 0 again. Two attempts from one checkpoint, of which
one counts anew, may leave parts of one update twice. After a resume on fewer ranks, the files of
the other ranks stay as they are.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Iterator

import numpy as np

from ..errors import AutoAssistError, ConfigError, told
from ..options import flag

#: One row for each item trained on.
TRAINED = np.dtype([("update", np.int32), ("batch", np.int64), ("id", np.int64)])
_HEAD = 3  # numbers before the ids of a block


class TraceWriter:
    """Appends blocks to the trace of a rank.

    `hold` keeps the micro-batches of an update until it is made, when `write_held` writes them, or
    discarded, when `drop` forgets them. An overflow discards an update, for example.

    Args:
        folder: of the trace; it is made if it does not exist
        rank: of this process

    Raises:
        ConfigError: the folder cannot be made or written to, or holds a file that is no trace
    """

    def __init__(self, folder: str, rank: int) -> None:
        self._path = path = trace_file(Path(folder), rank)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_half_block(path)
            # unbuffered, so that a kill cuts the last block at most
            self._stream = open(path, "ab", buffering=0)
        except OSError as error:
            raise ConfigError(
                f"{flag('trace')} {folder}: {told(error)}, expected a folder that can be made "
                f"and written to; name another, or leave {flag('trace')} out"
            ) from error
        self._end = weakref.finalize(self, self._stream.close)  # no call ends a task of fairseq
        self._held: list[tuple[int, int, np.ndarray]] = []

    def hold(self, update: int, batch: int, ids: np.ndarray) -> None:
        """Keep a micro-batch of the update under way.

        Args:
            update: the update it is part of, counted from 1
            batch: its number, over the run and this rank
            ids: its items, integers, shape (n,)
        """
        self._held.append((update, batch, ids))

    def drop(self) -> None:
        """Forget the micro-batches held, whose update was discarded."""
        self._held.clear()

    def write_held(self) -> None:
        """Append the micro-batches held, whose update was made.

        Raises:
            AutoAssistError: see `write`
        """
        for held in self._held:
            self.write(*held)
        self._held.clear()

    def write(self, update: int, batch: int, ids: np.ndarray) -> None:
        """Append a micro-batch that was trained on.

        Args:
            update: the update it is part of, counted from 1
            batch: its number, over the run and this rank
            ids: its items, integers, shape (n,)

        Raises:
            AutoAssistError: the file cannot be written; the message names it
        """
        block = np.concatenate([[update, batch, len(ids)], ids]).astype("<i8")
        left = memoryview(block.tobytes())
        try:
            while left:  # a nearly full disk first takes a part
                left = left[self._stream.write(left) :]
        except OSError as error:
            raise AutoAssistError(
                f"the trace {self._path} cannot be written ({error.strerror}), expected room for "
                "8 bytes an item; make room and go on from the last checkpoint, or go on from it "
                f"without {flag('trace')}"
            ) from error

    def close(self) -> None:
        """Close the file. It may be called again; without it the file closes with the writer."""
        self._end()


def trace_file(folder: Path, rank: int) -> Path:
    """Path of the trace of a rank."""
    return folder / f"rank{rank}.trace"


def read(folder: Path, rank: int = 0) -> np.ndarray:
    """Read what a rank trained on, in order of micro-batches, without an unfinished last block.

    Returns:
        array of `TRAINED`

    Raises:
        FileNotFoundError: there is no such trace
        ConfigError: the file is no trace
    """
    path = trace_file(folder, rank)
    numbers = np.fromfile(path, dtype="<i8")
    standing: list[int] = []
    for at in _starts(numbers, path):
        here = tuple(numbers[at : at + 2])  # update, micro-batch
        while standing and tuple(numbers[standing[-1] : standing[-1] + 2]) >= here:
            standing.pop()  # undone by a resume from an earlier checkpoint
        standing.append(at)
    parts = [np.empty(0, TRAINED)]
    for at in standing:
        part = np.empty(int(numbers[at + 2]), TRAINED)
        part["update"], part["batch"] = numbers[at], numbers[at + 1]
        part["id"] = numbers[at + _HEAD : at + _HEAD + len(part)]
        parts.append(part)
    return np.concatenate(parts)


def _starts(numbers: np.ndarray, path: Path) -> Iterator[int]:
    """Give the indices at which complete blocks begin.

    Raises:
        ConfigError: the numbers of this file are no trace
    """
    at = 0
    while at + _HEAD <= len(numbers) and at + _HEAD + numbers[at + 2] <= len(numbers):
        if numbers[at + 2] < 0:
            raise ConfigError(
                f"{path}: found a block of {numbers[at + 2]} items after {8 * at} bytes, expected "
                f"a trace of an earlier run; name another folder by {flag('trace')}, or remove the "
                "file"
            )
        yield at
        at += _HEAD + int(numbers[at + 2])


def _cut_half_block(path: Path) -> None:
    """Cut off a block that a killed run left incomplete.

    Raises:
        ConfigError: the file is no trace
    """
    count = path.stat().st_size // 8 if path.exists() else 0
    if not count:
        path.unlink(missing_ok=True)
        return
    numbers = np.memmap(path, "<i8", "r", shape=count)  # it may be larger than the memory
    whole = 0
    for start in _starts(numbers, path):
        whole = start + _HEAD + int(numbers[start + 2])
    with open(path, "r+b") as stream:
        stream.truncate(whole * 8)
