"""InfoBatch (Qin et al., ICLR 2024): unbiased dynamic pruning by remembered losses.

A pair whose last known loss is below the mean is dropped with probability r, and counts 1 / (1 - r)
times where it is kept (eq. 4 and 6 of the paper), so that the expected gradient is that of the full
data. The mean is that of all remembered losses when the pass began, as in the paper: a mean that
moved with the falling losses of the pass itself would drop fewer and fewer. The last share
1 - delta of the run is trained on everything.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...config import AutoAssistConfig, flag
from .base import Corpus, Moment
from .remembering import Remembering


class InfoBatch(Remembering):
    """Drops a share of the pairs below the mean of the remembered losses, and rescales the rest."""

    settings = ("infobatch_ratio", "infobatch_anneal")

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        self._below = 0.0
        self._mean, self._pass = math.nan, -1  # NaN: no loss was known when the pass began

    def at(self, moment: Moment) -> None:
        """Take the time, and the mean with it when a pass begins."""
        super().at(moment)
        if int(moment.passes) != self._pass:
            self._mean, self._pass = self.memory.mean, int(moment.passes)

    @classmethod
    def needs_end(cls, config: AutoAssistConfig) -> str:
        """Everything is kept towards the end of the run."""
        anneal = config.infobatch_anneal
        return f"{flag('infobatch-anneal')} {anneal}" if anneal else ""

    @classmethod
    def metric_names(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """What is pruned by."""
        return ("mean_loss", "below_mean")

    @property
    def mean(self) -> float:
        """Mean of the losses known when the pass began (nats/token), or of those known since."""
        return self.memory.mean if math.isnan(self._mean) else self._mean

    @property
    def pruning(self) -> bool:
        """Whether anything is dropped now."""
        anneal = self.config.infobatch_anneal
        ending = anneal > 0 and self.moment.share >= 1.0 - anneal
        return self.memory.known > 0 and self.chooses and not ending

    @property
    def uniform_share(self) -> float:
        """1 - r: every pair is kept with at least this probability."""
        return 1.0 - self.config.infobatch_ratio if self.pruning else 1.0

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """1 - r below the mean of the known losses, 1 above it and where no loss is known."""
        if not self.pruning:
            self._below = 0.0
            return np.ones(len(ids), dtype=np.float32)
        below = self.memory.of(ids) < self.mean  # False for NaN
        self._below = float(below.mean())
        return np.where(below, 1.0 - self.config.infobatch_ratio, 1.0).astype(np.float32)

    def loss_weight(self, ids: np.ndarray, probability: np.ndarray) -> np.ndarray | None:
        """1 / (1 - r) for a pair that might have been dropped."""
        return 1.0 / probability if self.pruning else None

    def metrics(self) -> dict[str, float]:
        """The mean (nats/token; 0: no loss is known), and share of pairs below it."""
        return {"mean_loss": self.mean if self.memory.known else 0.0, "below_mean": self._below}

    def state_dict(self) -> dict[str, Any]:
        """The remembered losses, and their mean when the pass began."""
        mine = {"below": self._below, "mean": self._mean, "pass": self._pass}
        return {**super().state_dict(), **mine}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: it remembers another number of pairs
        """
        super().load_state_dict(state)
        self._below, self._mean = float(state["below"]), float(state["mean"])
        self._pass = int(state["pass"])

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """As for its kind; the mean is taken anew where nothing is known."""
        return {"below": 0.0, "mean": math.nan, "pass": -1, **super().on_other_data(newest, here)}

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """What any rank remembers; the earliest pass, with which all go on, keeps the mean of the
        means of the ranks that are in it."""
        earliest = min(state["pass"] for state in states)
        means = [s["mean"] for s in states if s["pass"] == earliest]
        known = [mean for mean in means if not math.isnan(mean)]
        mean = float(np.mean(known)) if known else math.nan
        return {**super().merge(states), "below": 0.0, "mean": mean, "pass": earliest}
