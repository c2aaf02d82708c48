"""Self-paced learning (Kumar et al., NIPS 2010), the paper's baseline.

The pace is the share of the data that is trained on, easiest first by last known loss. It grows
from a quarter to all over the first passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...options import Options, option
from .base import Choice, Corpus, TrainingPoint
from .loss_based import LossBased

# The quantile is taken again after so many chunks of considered items, or after such a share of a
# pass: one of many ranks has few chunks.
_REFRESH_CHUNKS, _REFRESH_SHARE = 8, 1 / 8
_TAKEN_ANEW = {"threshold": float("nan"), "age": 0, "taken": 0.0}


@dataclass(frozen=True)
class SelfPacedOptions(Options):
    """Options of `SelfPaced`."""

    spl_start: float = option(
        0.25,
        "share of the items, the easiest, that 'spl' begins with",
        "Zhang, Yu, Dhillon 2019, section 4 (baselines)",
        low=0.01,
        high=1.0,
    )
    spl_passes: float = option(
        10.0, "passes after which 'spl' keeps all items", "value: ours", low=0.0
    )


class SelfPaced(LossBased):
    """Keeps the items with the lowest last known losses, and a share of those with none."""

    about = "keeps the items with the lowest losses, more of them from pass to pass"
    option_class = SelfPacedOptions
    metric_names = ("pace",)

    def __init__(self, options: SelfPacedOptions, corpus: Corpus) -> None:
        super().__init__(options, corpus)
        self._options = options
        self._threshold, self._age, self._taken = float("nan"), 0, 0.0

    def pace(self, point: TrainingPoint) -> float:
        """Share of the data that is trained on, in (0, 1]."""
        if self.failed:
            return 1.0
        start, passes = self._options.spl_start, self._options.spl_passes
        return min(1.0, start + (1.0 - start) * point.passes / passes) if passes else 1.0

    def choose(self, ids: np.ndarray, point: TrainingPoint) -> Choice:
        """Keep easy items, drop hard ones; the pace is the probability where no loss is known.

        Until all are kept none is uniform, since an easy part is no sample of the data.
        """
        pace, passes = self.pace(point), point.passes
        if pace >= 1.0:
            return Choice.all_of(ids)
        late = self._age >= _REFRESH_CHUNKS or passes >= self._taken + _REFRESH_SHARE
        if late or np.isnan(self._threshold):
            self._threshold, self._age, self._taken = self.memory.quantile(pace), 0, passes
        self._age += 1
        losses = self.memory.of(ids)
        easy = np.where(np.isnan(losses), pace, losses <= self._threshold)
        return Choice(easy.astype(np.float32), 0.0)

    def metrics(self, point: TrainingPoint) -> dict[str, float]:
        """Pace, in (0, 1]."""
        return {"pace": self.pace(point)}

    def state_dict(self) -> dict[str, Any]:
        """Remembered losses, the loss up to which items are kept, and when it was taken."""
        mine = {"threshold": self._threshold, "age": self._age, "taken": self._taken}
        return {**super().state_dict(), **mine}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: the state has losses of another number of items
        """
        super().load_state_dict(state)
        self._threshold, self._age = float(state["threshold"]), int(state["age"])
        self._taken = float(state["taken"])

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """Do as `LossBased`; where nothing is known the threshold is taken again."""
        return {**_TAKEN_ANEW, **super().on_other_data(newest, here)}

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """Merge what the ranks remember; the threshold is taken again."""
        return {**super().merge(states), **_TAKEN_ANEW}
