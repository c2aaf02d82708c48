"""Base of strategies that decide by the last known loss of each item."""

from __future__ import annotations

from typing import Any

from ..guard import Guard, Outcome
from ..memory import LossMemory
from .base import Corpus, Needs, Report, Strategy, TrainingPoint


class LossBased(Strategy):
    """Remembers the last finite loss of every item (`memory`), and keeps every item.

    After a loss that is not finite, subclasses do so too until many reports in a row are clean
    (`guard`).
    """

    def __init__(self, options: Any, corpus: Corpus) -> None:
        super().__init__(options, corpus)
        self.memory = LossMemory(corpus.items.count)
        self.guard = Guard(0)

    @classmethod
    def needs(cls, options: Any) -> Needs:
        """Losses."""
        return Needs(losses=True)

    @property
    def failed(self) -> bool:
        """Whether shrinking was stopped, or losses were not finite."""
        return self.stopped or not self.guard.allows

    def observe(self, report: Report, point: TrainingPoint) -> None:
        """Remember finite losses."""
        finite = report.finite()
        self._messages += self.guard.judge(Outcome(bad=len(report.ids) - len(finite.ids)))
        self.memory.record(finite.ids, finite.losses)

    def state_dict(self) -> dict[str, Any]:
        """Remembered losses, and the guard's count of clean reports that are due."""
        return {"memory": self.memory.state_dict(), "guard": self.guard.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: the state has losses of another number of items
        """
        self.memory.load_state_dict(state["memory"])
        self.guard.load_state_dict(state["guard"])

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """Take the losses known of that data set; the guard's state goes on."""
        known = {"memory": None} if here is None else here
        return {**known, "guard": newest["guard"]}

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """Merge the losses that the ranks remember, and their guards."""
        return {
            "memory": LossMemory.merge([state["memory"] for state in states]),
            "guard": Guard.merge([state["guard"] for state in states]),
        }
