"""What became of each micro-batch that was handed out: the one place where they are counted."""

from __future__ import annotations

import dataclasses

from .protocol import PlannedBatch


class Ledger:
    """The micro-batches of one rank, numbered over the run.

    Each is handed out, has an outcome (losses, or none), is trained on and is reported, in order.
    The training thread calls everything but `hand_out`, which is the loader's.

    The planner is not asked: it may be in another process, where it keeps the batches that it has
    still to learn from.

    Args:
        reported: micro-batches that were reported before: 0 .. reported - 1
        repeated: micro-batches of an update, which may be trained on again at once
    """

    def __init__(self, reported: int = 0, repeated: int = 1) -> None:
        self.reported = reported
        self._repeated = repeated
        self._outcome = self._settled = reported - 1  # the last one with an outcome; trained on
        self._batches: dict[int, PlannedBatch] = {}  # handed out, until their update is reported

    def hand_out(self, batch: PlannedBatch) -> None:
        """Note that the loader has a micro-batch."""
        self._batches[batch.number] = batch

    def take_outcome(self, number: int) -> bool:
        """Note the outcome of a micro-batch; returns whether it is the first one.

        A batch has another if it is run again: after an overflow (--amp), or in the search for the
        origin of a NaN.
        """
        first = number > self._outcome
        self._outcome = max(self._outcome, number)
        return first

    def dropped_before(self, number: int) -> list[int]:
        """Micro-batches before this one that were neither trained on nor named here before."""
        dropped = list(range(self._settled + 1, number))
        self._settled = max(self._settled, number - 1)
        return dropped

    def train(self, number: int) -> PlannedBatch | None:
        """Note that a micro-batch was trained on; returns it, without messages if it was before.

        None: it was not handed out, or long ago.
        """
        batch = self._batches.get(number)
        if batch is None:
            return None
        if number <= self._settled:
            return dataclasses.replace(batch, messages=[])
        self._settled = number
        return batch

    def report(self, number: int) -> None:
        """Note that the planner is told the outcome of a micro-batch.

        Raises:
            ValueError: a report was left out or came twice
        """
        if number != self.reported:
            raise ValueError(f"report of micro-batch {number}, expected {self.reported}")
        self.reported += 1
        self._batches.pop(number - self._repeated, None)
