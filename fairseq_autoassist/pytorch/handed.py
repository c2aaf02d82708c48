"""Micro-batches that the loader has and the loop has not reported, found again by their ids."""

from __future__ import annotations

from collections import deque
from typing import Container, Iterable

import numpy as np

from ..core.protocol import PlannedBatch
from .checks import ReportError

_REMEMBERED = 64  # newest reported micro-batches, by which a second report is recognised


class Handed:
    """Micro-batches handed to the loader and neither reported nor left out yet."""

    def __init__(self) -> None:
        self._batches: dict[int, PlannedBatch] = {}
        self._reported: deque[PlannedBatch] = deque(maxlen=_REMEMBERED)

    def add(self, batch: PlannedBatch) -> None:
        """Add a micro-batch that is handed to the loader."""
        self._batches[batch.number] = batch

    def take_back(self) -> list[PlannedBatch]:
        """Remove and return all micro-batches that were not reported, in order."""
        left, self._batches = list(self._batches.values()), {}
        return left

    def take_first(self, numbers: Container[int]) -> PlannedBatch | None:
        """Remove and return the first unreported micro-batch; None if it has no such number."""
        number = next(iter(self._batches), None)
        return self._batches.pop(number) if number is not None and number in numbers else None

    def find(self, ids: np.ndarray) -> PlannedBatch:
        """Find the next unreported micro-batch of these ids, or else the newest reported one.

        Args:
            ids: integers (B,), in any order

        Raises:
            ReportError: no micro-batch has these ids; the message names the likely cause
        """
        found = _first(ids, self._batches.values()) or _first(ids, reversed(self._reported))
        if found is None:
            raise ReportError(self._why_not(ids))
        return found

    def take(self, ids: np.ndarray) -> tuple[PlannedBatch, list[PlannedBatch]]:
        """Remove and return the unreported micro-batch of these ids, and those before it.

        The micro-batches before it count as left out.

        Args:
            ids: integers (B,), in any order

        Raises:
            ReportError: no unreported micro-batch has these ids
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
                "batch, before the next batch is taken from the loader"
            )
        for batch in self._batches.values():
            if len(ids) != len(batch.kept) and np.isin(ids, batch.ids).all():
                return (
                    f"found a report of {len(ids)} of the {len(batch.kept)} items of batch "
                    f"{batch.number}, expected all of them in one report: give the mean of the "
                    "others for an item that has no loss"
                )
        return (
            f"found a report of {len(ids)} items (ids {_shown(ids)}) that are no batch of "
            "this loader: report the ids of the batch that has these losses, on its own rank, in "
            "the order of the batches; an evaluation, with its own loader, must not report"
        )


def _first(ids: np.ndarray, batches: Iterable[PlannedBatch]) -> PlannedBatch | None:
    """Find the first of the batches that has these ids, in any order."""
    wanted = np.sort(ids)
    for batch in batches:
        if len(batch.kept) == len(ids) and np.array_equal(np.sort(batch.ids), wanted):
            return batch
    return None


def _shown(ids: np.ndarray) -> str:
    return ", ".join(map(str, ids[:3].tolist())) + (", ..." if len(ids) > 3 else "")
