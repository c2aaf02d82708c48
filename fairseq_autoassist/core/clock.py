"""In which update a micro-batch that is planned now will be trained on.

The trainer counts updates. Its count goes on where that of the stream begins anew (a checkpoint of
another task, --reset-dataloader), stands still while an update is skipped (an overflow), and
depends on --update-freq, which may differ by epoch and change with a restart.
"""

from __future__ import annotations

from typing import Any, Iterable


class Clock:
    """Reckons on from the last update known from a report.

    Args:
        update_freq: micro-batches to an update from here on
        update: number of the update that micro-batch 0 is for, counted from 0
        others: what --update-freq will be in other epochs; taken when the reports show it, so that
            what is planned ahead over an epoch's end is reckoned with the number before
    """

    def __init__(self, update_freq: int, update: float = 0.0, others: Iterable[int] = ()) -> None:
        self._update_freq = update_freq
        self._known = {update_freq, *others}
        self._batch, self._update = 0, update

    def tick(self, batch: int, update: float | None) -> None:
        """Take the update that a micro-batch was trained in; None: it is not known."""
        if update is not None and update != self._update:  # the first batch of another update
            advance = update - self._update
            shown = (batch - self._batch) / advance if advance > 0 else 0.0
            if shown in self._known:  # else updates were skipped, or the count was not known
                self._update_freq = int(shown)
            self._batch, self._update = batch, update

    def at(self, batch: int) -> float:
        """The update that a micro-batch is for (a fraction within --update-freq)."""
        return self._update + (batch - self._batch) / self._update_freq

    def state_dict(self) -> list[Any]:
        """The micro-batch and the update to reckon on from, and micro-batches to an update."""
        return [self._batch, self._update, self._update_freq]

    def load_state_dict(self, state: list[Any]) -> None:
        """Take over a saved state, which may have no third number, or one no longer in force."""
        self._batch, self._update, *shown = state
        if shown and shown[0] in self._known:
            self._update_freq = shown[0]


def update_reached(exchange: dict[str, Any]) -> float:
    """Updates done in a run, by the state of an exchange between two of them.

    Exact while the Assistant lives, since that state has learned from every report; one too many
    where the last update overflowed, until the next report tells.
    """
    batch, update, *_ = exchange["planner"]["clock"]
    return update + (exchange["trained"] > batch)
