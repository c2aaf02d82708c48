"""Which items a run trained on, in order: a file for each rank, written as training goes.

Each micro-batch is a block of little-endian int64: update, micro-batch, number of items n, and n
item ids. A run that is resumed from an older checkpoint appends what it trains on from there; with
a block, `read` forgets what stands before it of later updates, and of its own update this
micro-batch and later ones. Updates tell, because --reset-dataloader counts micro-batches anew (two
attempts from one checkpoint, one of them with it, may leave parts of one update twice). Resumed on
fewer ranks, the files of the others keep what they had begun. Ids count within a data-bin.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import AutoAssistError, ConfigError, told
from ..options import flag

#: One row for each item trained on.
TRAINED = np.dtype([("update", np.int32), ("batch", np.int64), ("id", np.int64)])
_HEAD = 3  # numbers before the ids of a block


class TraceWriter:
    """Appends to the trace of a rank.

    Args:
        folder: made if it does not exist
        rank: of this process

    Raises:
        ConfigError: there is no such folder and none can be made, or it may not be written to
    """

    def __init__(self, folder: str, rank: int) -> None:
        self._path = path = trace_file(Path(folder), rank)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_half_block(path)
            # a block at a time, so that a kill leaves whole blocks but for the last
            self._stream = open(path, "ab", buffering=0)
        except OSError as error:
            raise ConfigError(
                f"{flag('trace')} {folder}: {told(error)}, expected a folder that is there or can "
                f"be made, and may be written to; name another, or leave {flag('trace')} out"
            ) from error

    def write(self, update: int, batch: int, ids: np.ndarray) -> None:
        """Write down a micro-batch that was trained on.

        Args:
            update: the update it is part of, counted from 1
            batch: its number, over the run and this rank
            ids: its items, integers, shape (n,)

        Raises:
            AutoAssistError: the disk is full, say; names the file
        """
        block = np.concatenate([[update, batch, len(ids)], ids]).astype("<i8")
        left = memoryview(block.tobytes())
        try:
            while left:  # a disk that is nearly full takes a part, and then says so
                left = left[self._stream.write(left) :]
        except OSError as error:
            raise AutoAssistError(
                f"the trace {self._path} cannot be written ({error.strerror}), expected room for "
                "8 bytes a pair; make room and go on from the last checkpoint, or go on from it "
                f"without {flag('trace')}"
            ) from error


def trace_file(folder: Path, rank: int) -> Path:
    """Where the trace of a rank lies."""
    return folder / f"rank{rank}.trace"


def read(folder: Path, rank: int = 0) -> np.ndarray:
    """What a rank trained on, in order of micro-batches; an unfinished last block is left out.

    Returns:
        array of `TRAINED`

    Raises:
        FileNotFoundError: there is no such trace
    """
    numbers = np.fromfile(trace_file(folder, rank), dtype="<i8")
    standing: list[int] = []
    for at in _starts(numbers):
        here = tuple(numbers[at : at + 2])  # update, micro-batch
        while standing and tuple(numbers[standing[-1] : standing[-1] + 2]) >= here:
            standing.pop()  # undone by going back to an older checkpoint
        standing.append(at)
    parts = [np.empty(0, TRAINED)]
    for at in standing:
        part = np.empty(int(numbers[at + 2]), TRAINED)
        part["update"], part["batch"] = numbers[at], numbers[at + 1]
        part["id"] = numbers[at + _HEAD : at + _HEAD + len(part)]
        parts.append(part)
    return np.concatenate(parts)


def _starts(numbers: np.ndarray) -> list[int]:
    """Where the whole blocks begin."""
    starts, at = [], 0
    while at + _HEAD <= len(numbers) and at + _HEAD + numbers[at + 2] <= len(numbers):
        starts.append(at)
        at += _HEAD + int(numbers[at + 2])
    return starts


def _cut_half_block(path: Path) -> None:
    """Forget what a killed run began to write."""
    if not path.exists():
        return
    numbers = np.fromfile(path, dtype="<i8")
    starts = _starts(numbers)
    whole = starts[-1] + _HEAD + int(numbers[starts[-1] + 2]) if starts else 0
    with open(path, "r+b") as stream:
        stream.truncate(whole * 8)
