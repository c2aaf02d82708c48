"""InfoBatch (Qin et al., ICLR 2024): unbiased dynamic pruning by remembered losses.

A pair whose last known loss is below the mean is dropped with probability r, and counts 1 / (1 - r)
times where it is kept (eq. 4 and 6 of the paper), so that the expected gradient is that of the full
data. The last share 1 - delta of the run is trained on everything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...config import AutoAssistConfig, flag
from ..memory import LossMemory
from .base import Corpus
from .remembering import Remembering


class InfoBatch(Remembering):
    """Drops a share of the pairs below the mean of the remembered losses, and rescales the rest."""

    metric_names = ("mean_loss", "below_mean")

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        self._below = 0.0

    @classmethod
    def needs_end(cls, config: AutoAssistConfig) -> str:
        """Everything is kept towards the end of the run."""
        anneal = config.infobatch_anneal
        return f"{flag('infobatch-anneal')} {anneal}" if anneal else ""

    @property
    def pruning(self) -> bool:
        """Whether anything is dropped now."""
        anneal = self.config.infobatch_anneal
        ending = anneal > 0 and self.moment.share >= 1.0 - anneal
        return self.memory.known > 0 and not self.stopped and not ending

    @property
    def uniform_share(self) -> float:
        """1 - r: every pair is kept with at least this probability."""
        return 1.0 - self.config.infobatch_ratio if self.pruning else 1.0

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """1 - r below the mean of the known losses, 1 above it and where no loss is known."""
        if not self.pruning:
            self._below = 0.0
            return np.ones(len(ids), dtype=np.float32)
        below = self.memory.of(ids) < self.memory.mean  # False for NaN
        self._below = float(below.mean())
        return np.where(below, 1.0 - self.config.infobatch_ratio, 1.0).astype(np.float32)

    def loss_weight(self, ids: np.ndarray, probability: np.ndarray) -> np.ndarray | None:
        """1 / (1 - r) for a pair that might have been dropped."""
        return 1.0 / probability if self.pruning else None

    def metrics(self) -> dict[str, float]:
        """Mean of the remembered losses (nats/token), and share of pairs below it."""
        mean = self.memory.mean if self.memory.known else 0.0
        return {"mean_loss": mean, "below_mean": self._below}

    def state_dict(self) -> dict[str, Any]:
        """The remembered losses."""
        return {"memory": self.memory.state_dict(), "below": self._below}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: it remembers another number of pairs
        """
        self.memory.load_state_dict(state["memory"])
        self._below = float(state["below"])

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """All that is known is about single pairs."""
        return here or {"memory": None, "below": 0.0}

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """What any rank remembers."""
        return {"memory": LossMemory.merge([s["memory"] for s in states]), "below": 0.0}
