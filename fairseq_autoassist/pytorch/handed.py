"""The micro-batches that the loader has and the loop has not reported, and which one a report is
of."""

from __future__ import annotations

from collections import deque
from typing import Iterable

import numpy as np

from ..core.protocol import PlannedBatch
from .checks import ReportError

_REMEMBERED = 64  # micro-batches reported last, so that a second report is called that


class Handed:
    """Micro-batches handed to the loader, until each is reported or left out."""

    def __init__(self) -> None:
        self._batches: dict[int, PlannedBatch] = {}
        self._reported: deque[PlannedBatch] = deque(maxlen=_REMEMBERED)

    def __len__(self) -> int:
        """Micro-batches that the loader has."""
        return len(self._batches)

    def add(self, batch: PlannedBatch) -> None:
        """Take a micro-batch that the loader gets now."""
        self._batches[batch.number] = batch

    def take_back(self) -> list[PlannedBatch]:
        """All micro-batches that were not reported, in order; the loader has none then."""
        left, self._batches = list(self._batches.values()), {}
        return left

    def find(self, ids: np.ndarray) -> PlannedBatch:
        """The micro-batch of these ids (integers (B,)), in whatever order they stand: the next one
        that is not reported, or the last one that is.

        Raises:
            ReportError: there is none; the message says what is likely wrong
        """
        found = _first(ids, self._batches.values()) or _first(ids, reversed(self._reported))
        if found is None:
            raise ReportError(self._why_not(ids))
        return found

    def take(self, ids: np.ndarray) -> tuple[PlannedBatch, list[PlannedBatch]]:
        """The micro-batch of these ids that is not reported, and those before it that were left
        out; from here on they are.

        Raises:
            ReportError: as `find`
        """
        found = _first(ids, self._batches.values())
        if found is None:
            raise ReportError(self._why_not(ids))
        left_out = [batch for number, batch in self._batches.items() if number < found.number]
        for batch in (*left_out, found):
            del self._batches[batch.number]
        self._reported.append(found)
        return found, left_out

    def _why_not(self, ids: np.ndarray) -> str:
        again = _first(ids, self._reported)
        if again is not None:
            return (
                f"batch {again.number} is reported a second time, expected one report of each "
                "batch, before the next one is taken from the loader"
            )
        for batch in self._batches.values():
            if len(ids) != len(batch.kept) and np.isin(ids, batch.ids).all():
                return (
                    f"found a report of {len(ids)} of the {len(batch.kept)} items of batch "
                    f"{batch.number}, expected all of them in one report: NaN stands for a loss "
                    "that there is none of"
                )
        return (
            f"found a report of {len(ids)} items (ids {_shown(ids)}) that are no batch of "
            "this loader: report the ids that came with the losses, on the rank that they came on, "
            "in the order of the batches; an evaluation, with a loader of its own, must not report"
        )


def _first(ids: np.ndarray, batches: Iterable[PlannedBatch]) -> PlannedBatch | None:
    """The first of the batches that has these ids, in whatever order."""
    wanted = np.sort(ids)
    for batch in batches:
        if len(batch.kept) == len(ids) and np.array_equal(np.sort(batch.ids), wanted):
            return batch
    return None


def _shown(ids: np.ndarray) -> str:
    return ", ".join(map(str, ids[:3].tolist())) + (", ..." if len(ids) > 3 else "")
