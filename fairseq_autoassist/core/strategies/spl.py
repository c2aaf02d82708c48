"""Self-paced learning (Kumar et al., NIPS 2010), the paper's baseline.

The pace is the share of the data that is trained on: it grows from a quarter to everything over the
first passes, easiest first by last known loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...config import AutoAssistConfig
from .base import Corpus
from .remembering import Remembering

# The quantile is taken anew after so many chunks of considered pairs, or after such a share of a
# pass: a rank of many sees few chunks of it.
_REFRESH_CHUNKS, _REFRESH_SHARE = 8, 1 / 8
_TAKEN_ANEW = {"threshold": float("nan"), "age": 0, "taken": 0.0}


class SelfPaced(Remembering):
    """Keeps the pairs whose last known loss is among the lowest; of unknown ones a share."""

    settings = ("spl_start", "spl_passes")

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        self._threshold, self._age, self._taken = float("nan"), 0, 0.0

    @classmethod
    def metric_names(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """The pace."""
        return ("pace",)

    @property
    def pace(self) -> float:
        """Share of the data that is trained on now, in (0, 1]."""
        if not self.chooses:
            return 1.0
        start, passes = self.config.spl_start, self.config.spl_passes
        return min(1.0, start + (1.0 - start) * self.moment.passes / passes) if passes else 1.0

    @property
    def uniform_share(self) -> float:
        """All or nothing: what is kept of an easy part is no sample of the data."""
        return 1.0 if self.pace >= 1.0 else 0.0

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """1 for easy pairs, 0 for hard ones; the pace for those of which nothing is known."""
        pace = self.pace
        if pace >= 1.0:
            return np.ones(len(ids), dtype=np.float32)
        passes = self.moment.passes
        late = self._age >= _REFRESH_CHUNKS or passes >= self._taken + _REFRESH_SHARE
        if late or np.isnan(self._threshold):
            self._threshold, self._age, self._taken = self.memory.quantile(pace), 0, passes
        self._age += 1
        losses = self.memory.of(ids)
        unknown = np.isnan(losses)
        return np.where(unknown, pace, losses <= self._threshold).astype(np.float32)

    def metrics(self) -> dict[str, float]:
        """The pace, in (0, 1]."""
        return {"pace": self.pace}

    def state_dict(self) -> dict[str, Any]:
        """The remembered losses, the loss up to which pairs are kept, and when it was taken."""
        mine = {"threshold": self._threshold, "age": self._age, "taken": self._taken}
        return {**super().state_dict(), **mine}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: it remembers another number of pairs
        """
        super().load_state_dict(state)
        self._threshold, self._age = float(state["threshold"]), int(state["age"])
        self._taken = float(state["taken"])

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """As for its kind; the threshold is taken anew where nothing is known."""
        return {**_TAKEN_ANEW, **super().on_other_data(newest, here)}

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """What any rank remembers; the threshold is taken anew."""
        return {**super().merge(states), **_TAKEN_ANEW}
