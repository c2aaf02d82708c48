"""Ledger of micro-batches: what is known of each one between its planning and its report."""

from __future__ import annotations

import dataclasses

from .protocol import PlannedBatch


class Ledger:
    """The micro-batches of one rank, numbered over the run.

    Each is handed out, has an outcome (losses, or none), is trained on and is reported, in order.
    The PyTorch adapter notes the first and the last of these alone, since its loop tells no more.
    The loader's thread calls `hand_out`; the training thread calls everything else.

    The ledger alone counts micro-batches: how many were handed out, had an outcome, were trained
    on and were reported. It keeps no losses. Others keep what they need beside it, by the same
    numbers:

    - the planner: batches that it has still to learn from, since it may be in another process
    - `worker/replay.py`: batches and reports since the worker's state was last known
    - `plugin/losses.py`, `pytorch/reports.py`: losses on their way from the device
    - `pytorch/handed.py`: batches by their ids, since a loop reports ids and not numbers
    - `pytorch/session.py`: batches that an old loader had, and that the next one gets
    - `pytorch/saving.py`: losses since a snapshot, since its states grow after they are made

    Args:
        reported: micro-batches that were reported before: 0 .. reported - 1
        repeated: micro-batches of an update, all of which may be trained on again

    Attributes:
        handed_out: number of micro-batches handed out, those before this session included
        reported: number of micro-batches reported, likewise
    """

    def __init__(self, reported: int = 0, repeated: int = 1) -> None:
        self.handed_out = self.reported = reported
        self._repeated = repeated
        self._outcome = reported - 1  # the last one with an outcome
        self._settled = reported - 1  # the last one trained on, or dropped
        self._batches: dict[int, PlannedBatch] = {}  # handed out, until their update is reported

    def hand_out(self, batch: PlannedBatch) -> None:
        """Note that the loader got a micro-batch."""
        self._batches[batch.number] = batch
        self.handed_out = batch.number + 1

    def take_outcome(self, number: int) -> bool:
        """Note the outcome of a micro-batch; returns whether it is the first one.

        A batch that runs again, after an overflow or in the search for a NaN, has another.
        """
        first = number > self._outcome
        self._outcome = max(self._outcome, number)
        return first

    def dropped_before(self, number: int) -> list[int]:
        """Numbers before this one that were neither trained on nor returned here before."""
        dropped = list(range(self._settled + 1, number))
        self._settled = max(self._settled, number - 1)
        return dropped

    def train(self, number: int) -> PlannedBatch | None:
        """Note that a micro-batch was trained on.

        Returns:
            the batch, without messages if it was trained on before; None: it is not known
        """
        batch = self._batches.get(number)
        if batch is None:
            return None
        if number <= self._settled:
            return dataclasses.replace(batch, messages=[])
        self._settled = number
        return batch

    def report(self, number: int) -> None:
        """Note that the outcome of a micro-batch goes to the planner.

        Raises:
            ValueError: a report was left out or came twice
        """
        if number != self.reported:
            raise ValueError(f"report of micro-batch {number}, expected {self.reported}")
        self.reported += 1
        self._batches.pop(number - self._repeated, None)
