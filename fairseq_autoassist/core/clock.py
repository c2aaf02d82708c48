"""The update in which a micro-batch that is planned now will be trained on.

The trainer counts updates. Its count goes on where the stream begins again. It stands still while
an update is skipped (an overflow). It depends on the number of micro-batches to an update, which
may differ by epoch and change with a restart.
"""

from __future__ import annotations

from typing import Any, Iterable


class Clock:
    """Extrapolates from the last update that a report named.

    Args:
        update_freq: micro-batches to an update from here on
        update: number of the update that micro-batch 0 is for, counted from 0
        others: micro-batches to an update in other epochs; each takes effect when the reports
            show it, so batches planned over an epoch's end go by the number before
    """

    def __init__(self, update_freq: int, update: float = 0.0, others: Iterable[int] = ()) -> None:
        self._update_freq = update_freq
        self._known = {update_freq, *others}
        self._batch, self._update = 0, update

    def tick(self, batch: int, update: float | None) -> None:
        """Note the update that a micro-batch was trained in; None: it is not known."""
        if update is not None and update != self._update:  # the first batch of another update
            advance = update - self._update
            shown = (batch - self._batch) / advance if advance > 0 else 0.0
            if shown in self._known:  # otherwise updates were skipped, or the count was not known
                self._update_freq = int(shown)
            self._batch, self._update = batch, update

    def at(self, batch: int) -> float:
        """Update that a micro-batch is for, from 0; a fraction in the middle of one."""
        return self._update + (batch - self._batch) / self._update_freq

    def state_dict(self) -> list[Any]:
        """Last known micro-batch and update, and micro-batches to an update."""
        return [self._batch, self._update, self._update_freq]

    def load_state_dict(self, state: list[Any]) -> None:
        """Take over a saved state, which may lack micro-batches to an update."""
        self._batch, self._update, *shown = state
        if shown and shown[0] in self._known:
            self._update_freq = shown[0]


def update_reached(exchange: dict[str, Any]) -> float:
    """Number of updates done in a run, from the state of an exchange between two updates.

    It is exact while the Assistant lives, since that state has learned from every report. Where the
    last update overflowed it is one too many until the next report.
    """
    batch, update, *_ = exchange["planner"]["clock"]
    return update + (exchange["trained"] > batch)
