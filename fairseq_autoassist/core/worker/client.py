"""Exchange of the training loop with the planner: batches come out, loss reports go in.

Both variants hand out the same batches, bit for bit. `Exchange` plans inline. `ProcessExchange`
(`process.py`) plans in a worker process, and inline after that has failed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np

from ..ledger import Ledger
from ..planner import Planner
from ..protocol import PlannedBatch, PlanSpec, restore_batches

# The smallest lag. The usual loaders (up to 4 workers with a buffer of 10) need no more, so they
# all get the same batches.
_SMALLEST_LAG = 32
# Micro-batches that may be trained on while the worker plans one, before anything waits.
_SLACK = 8


def lag_for(prefetched: int, update_freq: int) -> int:
    """Lag (micro-batches) at which the loader does not deadlock and the worker keeps ahead.

    Args:
        prefetched: batches that the loader takes ahead of training
        update_freq: micro-batches to an update
    """
    return max(_SMALLEST_LAG, prefetched + update_freq + _SLACK)


def begin_with(strategy: dict[str, Any]) -> dict[str, Any]:
    """Make the state of an exchange whose stream begins, with a strategy that has learned already.

    Args:
        strategy: `Strategy.state_dict`
    """
    return {"trained": 0, "planner": {"strategy": strategy}}


class Exchange:
    """Plans each micro-batch in the calling process, when it is asked for.

    Args:
        spec: what to plan from
        state: of an earlier `state_dict`, to go on from
    """

    def __init__(self, spec: PlanSpec, state: dict[str, Any] | None = None) -> None:
        self.spec = spec
        self.waited = 0.0  # seconds spent in `next_batch`
        self.failure: str | None = None  # of the planner, in words
        self.kept_since = ""  # what is kept since the failure, in words
        # planned before a restart and not trained on, or planned for a state
        self._again: deque[PlannedBatch] = deque()
        reported = 0
        if state is not None:
            reported = state["trained"]
            saved = restore_batches(state["planner"].get("in_flight", []))
            self._again.extend(batch for batch in saved if batch.number >= reported)
        self.ledger = Ledger(reported, max(spec.update_freq, *spec.update_freqs, 1))
        # the loader's thread asks for batches while the training thread reports
        self._lock = threading.Lock()
        self._start(None if state is None else state["planner"])

    def next_batch(self) -> PlannedBatch:
        """Give the next micro-batch to hand to the loader."""
        batch = self._again.popleft() if self._again else self._timed_next()
        self.ledger.hand_out(batch)
        return batch

    def report(self, number: int, losses: np.ndarray | None, update: float | None = None) -> None:
        """Report the losses of a micro-batch that was trained on; in order of micro-batches.

        Args:
            number: of the micro-batch
            losses: float32, in the order of its items, for text in nats per target token; None:
                there are none
            update: that it was trained in, counted from 0; None: not known

        Raises:
            ValueError: a report was left out or came twice
        """
        self.ledger.report(number)
        self._report(number, losses, update)

    def state_dict(self) -> dict[str, Any]:
        """State to resume from; all micro-batches reported so far were trained on.

        As many more are planned first as the reports allow. So the state depends on the reports
        alone, not on the timing.
        """
        return {"trained": self.ledger.reported, "planner": self._planner_state()}

    def close(self) -> None:
        """Free resources. It may be called again."""

    def _timed_next(self) -> PlannedBatch:
        started = time.perf_counter()
        try:
            return self._next()
        finally:
            self.waited += time.perf_counter() - started

    # -- what the variants do differently ---------------------------------------------------------

    def _start(self, planner_state: dict[str, Any] | None) -> None:
        self._planner = Planner(self.spec)
        if planner_state is not None:
            self._planner.load_state_dict(planner_state)

    def _next(self) -> PlannedBatch:
        with self._lock:
            if self._again:  # planned meanwhile, for a state
                return self._again.popleft()
            return self._planner.plan()

    def _report(self, number: int, losses: np.ndarray | None, update: float | None) -> None:
        with self._lock:
            self._planner.receive(number, losses, update)

    def _planner_state(self) -> dict[str, Any]:
        with self._lock:
            while self._planner.can_plan:
                self._again.append(self._planner.plan())
            return self._planner.state_dict()
