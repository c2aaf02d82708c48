"""AutoAssist whose Assistant also knows the size of each item's own last loss.

The paper's Assistant sees what an item is, not what the model made of it. A wrong label shows in
the loss of its item, and in no other feature.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..own_loss import OwnLoss
from .autoassist import AutoAssist
from .base import Corpus, Report, TrainingPoint


class OwnLossAssist(AutoAssist):
    """Keeps items by Algorithm 1, on the features of `own_loss.OwnLoss`."""

    about = "asks an Assistant that also knows each item's own last loss"

    def __init__(self, options: Any, corpus: Corpus) -> None:
        if corpus.features is None:
            raise ValueError("the strategy 'own-loss' needs features")
        self._own = OwnLoss(corpus.features, corpus.items.count)
        super().__init__(options, Corpus(corpus.items, self._own))

    def observe(self, report: Report, point: TrainingPoint) -> None:
        """Learn as `AutoAssist`, from what was known before the report; then remember it."""
        super().observe(report, point)
        finite = report.finite()
        if self.threshold is not None:
            self._own.record(finite.ids, finite.losses, self.threshold)

    def state_dict(self) -> dict[str, Any]:
        """State of `AutoAssist`, and the size of each item's last loss."""
        return {**super().state_dict(), "own": self._own.state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: saved with features of other dimensions, or with other items
        """
        super().load_state_dict(state)
        self._own.load(state["own"])

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """Go on with the Assistant, and with what is known of the items of that data set."""
        return {**newest, "own": None if here is None else here["own"]}

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """Merge as `AutoAssist`; of an item that several ranks know, the larger loss stays."""
        own = np.maximum.reduce([state["own"] for state in states])
        return {**super().merge(states), "own": own}
