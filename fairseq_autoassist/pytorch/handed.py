"""The micro-batches that the loader has and the loop has not reported, and which one a report is
of."""

from __future__ import annotations

from collections import deque

import numpy as np

from ..core.plan import PlannedBatch
from .checks import ReportError

_REMEMBERED = 64  # micro-batches reported last, so that a second report is called that


class Handed:
    """Micro-batches handed to the loader, until each is reported or left out."""

    def __init__(self) -> None:
        self._batches: dict[int, PlannedBatch] = {}
        self._reported: deque[tuple[int, np.ndarray]] = deque(maxlen=_REMEMBERED)

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
        """The micro-batch of these ids, in whatever order they stand (int64 (B,)).

        Raises:
            ReportError: there is none; the message says what is likely wrong
        """
        wanted = np.sort(ids)
        for batch in self._batches.values():
            if len(batch.pairs) == len(ids) and np.array_equal(np.sort(batch.ids), wanted):
                return batch
        raise ReportError(self._why_not(wanted))

    def take(self, ids: np.ndarray) -> tuple[PlannedBatch, list[PlannedBatch]]:
        """The micro-batch of these ids, and those before it that were left out; forgets all.

        Raises:
            ReportError: as `find`
        """
        found = self.find(ids)
        left_out = [batch for number, batch in self._batches.items() if number < found.number]
        for batch in (*left_out, found):
            del self._batches[batch.number]
        self._reported.append((found.number, np.sort(found.ids)))
        return found, left_out

    def _why_not(self, wanted: np.ndarray) -> str:
        for number, ids in self._reported:
            if np.array_equal(ids, wanted):
                return (
                    f"batch {number} is reported a second time, expected one report of each batch, "
                    "before the next one is taken from the loader"
                )
        for batch in self._batches.values():
            if len(wanted) != len(batch.pairs) and np.isin(wanted, batch.ids).all():
                return (
                    f"found a report of {len(wanted)} of the {len(batch.pairs)} items of batch "
                    f"{batch.number}, expected all of them in one report: NaN stands for a loss "
                    "that there is none of"
                )
        return (
            f"found a report of {len(wanted)} items (ids {_shown(wanted)}) that are no batch of "
            "this loader: report the ids that came with the losses, on the rank that they came on, "
            "in the order of the batches; an evaluation, with a loader of its own, must not report"
        )


def _shown(ids: np.ndarray) -> str:
    return ", ".join(map(str, ids[:3].tolist())) + (", ..." if len(ids) > 3 else "")
