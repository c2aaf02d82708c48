"""AutoAssist whose Assistant also knows each item's own last loss, and how often it was seen.

The paper's Assistant sees what an item is, not what the model made of it. An item's last loss is
known at no cost once it was trained on. It tells a wrong label, which no pixel and no word shows.
All else is as in `AutoAssist`.
"""

from __future__ import annotations

from typing import Any

from ..own_loss import OwnLoss
from .autoassist import AutoAssist
from .base import Corpus, Report, TrainingPoint


class OwnLossAssist(AutoAssist):
    """Keeps items by Algorithm 1, on features of `own_loss.OwnLoss`."""

    about = "does so too, with each pair's own last loss among the features"

    def __init__(self, options: Any, corpus: Corpus) -> None:
        if corpus.features is None:
            raise ValueError("the strategy 'own-loss' needs features")
        self._own = OwnLoss(corpus.features, corpus.items.count)
        super().__init__(options, Corpus(corpus.items, self._own))

    def observe(self, report: Report, point: TrainingPoint) -> None:
        """Learn as `AutoAssist`, from what was known before the report; then remember it."""
        super().observe(report, point)
        finite = report.finite()
        self._own.record(finite.ids, finite.losses)

    def state_dict(self) -> dict[str, Any]:
        """State of `AutoAssist`, and what is known of each item."""
        return {**super().state_dict(), "own": self._own.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: saved with features of other dimensions, or with other items
        """
        super().load_state_dict(state)
        self._own.load_state_dict(state["own"])

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """Go on with the Assistant, and with what is known of the items of that data set."""
        return {**newest, "own": None if here is None else here["own"]}

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """Merge as `AutoAssist`, and what the ranks know of each item."""
        return {**super().merge(states), "own": OwnLoss.merge([state["own"] for state in states])}
