"""InfoBatch (Qin et al., ICLR 2024): unbiased dynamic pruning by remembered losses.

An item whose last known loss is below the mean is dropped with probability r. Where it is kept it
counts 1 / (1 - r) times (eq. 4 and 6 of the paper), so the expected gradient is that of the full
data. The mean is that of all remembered losses when the pass began, as in the paper. A mean that
followed the falling losses of the pass itself would drop fewer and fewer. In the last share
1 - delta of the run every item is kept.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...options import Options, flag, option
from .base import Choice, Corpus, Needs, Report, TrainingPoint
from .loss_based import LossBased


@dataclass(frozen=True)
class InfoBatchOptions(Options):
    """Options of `InfoBatch`."""

    infobatch_ratio: float = option(
        0.5,
        "r: probability with which 'infobatch' drops an item below the mean loss",
        "Qin et al. 2024, section 3.1",
        low=0.0,
        high=0.99,
    )
    infobatch_anneal: float = option(
        0.125,
        "1 - delta: last share of the run, in which 'infobatch' trains on all items; 0: none, and "
        "the length of the run need not be known",
        "Qin et al. 2024, section 3.1",
        low=0.0,
        high=1.0,
    )


class InfoBatch(LossBased):
    """Drops a share of the items below the mean of the remembered losses, and rescales the rest."""

    about = "drops a share of the items below the mean loss, and gives the rest of them more weight"
    option_class = InfoBatchOptions
    metric_names = ("mean_loss", "below_mean")

    def __init__(self, options: InfoBatchOptions, corpus: Corpus) -> None:
        super().__init__(options, corpus)
        self._ratio, self._anneal = options.infobatch_ratio, options.infobatch_anneal
        self._below = 0.0  # share of the items of the last choice
        self._mean, self._pass = math.nan, -1  # NaN: no loss was known then

    @classmethod
    def needs(cls, options: InfoBatchOptions) -> Needs:
        """Losses, and the length of the run unless 1 - delta is 0."""
        anneal = options.infobatch_anneal
        length = f"{flag('infobatch_anneal')} {anneal}" if anneal else ""
        return dataclasses.replace(super().needs(options), run_length=length)

    @property
    def mean(self) -> float:
        """Mean of the losses known when the pass began, or of those known now if none was."""
        return self.memory.mean if math.isnan(self._mean) else self._mean

    def choose(self, ids: np.ndarray, point: TrainingPoint) -> Choice:
        """Keep with probability 1 - r and weight 1 / (1 - r) below the mean of the known losses.

        An item at or above the mean, or with no known loss, is kept with weight 1.
        """
        self._enter_pass(point)
        ending = self._anneal > 0 and point.share >= 1.0 - self._anneal
        if ending or self.failed or not self.memory.known:
            self._below = 0.0
            return Choice.all_of(ids)
        below = self.memory.of(ids) < self.mean  # False for NaN
        self._below = float(below.mean())
        least = 1.0 - self._ratio
        probability = np.where(below, least, 1.0).astype(np.float32)
        return Choice(probability, least, 1.0 / probability)

    def observe(self, report: Report, point: TrainingPoint) -> None:
        """Remember finite losses, which count in the mean of the next pass."""
        self._enter_pass(point)
        super().observe(report, point)

    def metrics(self, point: TrainingPoint) -> dict[str, float]:
        """Mean (nats/token; 0: no loss is known), and share of items below it."""
        return {"mean_loss": self.mean if self.memory.known else 0.0, "below_mean": self._below}

    def state_dict(self) -> dict[str, Any]:
        """Remembered losses, and their mean when the pass began."""
        mine = {"below": self._below, "mean": self._mean, "pass": self._pass}
        return {**super().state_dict(), **mine}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: the state has losses of another number of items
        """
        super().load_state_dict(state)
        self._below, self._mean = float(state["below"]), float(state["mean"])
        self._pass = int(state["pass"])

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """Do as `LossBased`; where nothing is known the mean is taken again."""
        return {"below": 0.0, "mean": math.nan, "pass": -1, **super().on_other_data(newest, here)}

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """Merge what the ranks remember; they go on in their earliest pass.

        The mean is that of the means of the ranks in that pass.
        """
        earliest = min(state["pass"] for state in states)
        means = [s["mean"] for s in states if s["pass"] == earliest]
        known = [mean for mean in means if not math.isnan(mean)]
        mean = float(np.mean(known)) if known else math.nan
        return {**super().merge(states), "below": 0.0, "mean": mean, "pass": earliest}

    def _enter_pass(self, point: TrainingPoint) -> None:
        """Take the mean when a pass begins."""
        if int(point.passes) != self._pass:
            self._mean, self._pass = self.memory.mean, int(point.passes)
