"""What a way to choose pairs has to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...config import AutoAssistConfig
from ..features import FeatureSource
from ..plan import News


@dataclass(frozen=True)
class Report:
    """Sentence losses of one micro-batch.

    Attributes:
        ids: pair ids, int64, shape (n,)
        losses: nats per target token, float32, shape (n,); may hold NaN or infinities
        uniform: bool, shape (n,): kept by the first coin, hence a uniform sample of the data
    """

    ids: np.ndarray
    losses: np.ndarray
    uniform: np.ndarray


class Strategy:
    """Base class: keeps every pair. A strategy overrides what it decides differently.

    The planner keeps pair i when its coin u_i < keep_probability(i), and marks it as a uniform
    sample when u_i < uniform_share: one coin for both.
    """

    #: whether `observe` needs the losses of every batch (then the criterion must report them)
    needs_losses = False
    #: whether it looks at the pairs' features (then they must have been built)
    needs_features = False
    #: what `metrics` gives; logged as ``aa_<name>``
    metric_names: tuple[str, ...] = ()

    def __init__(self, config: AutoAssistConfig, features: FeatureSource | None) -> None:
        self.config = config
        self.features = features
        self._news: list[News] = []

    @property
    def uniform_share(self) -> float:
        """Share of pairs kept whatever they are, in [0, 1]; never above any keep probability."""
        return 1.0

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """P(keep) of each pair, float32 in [0, 1], shape of ``ids`` (int64)."""
        return np.ones(len(ids), dtype=np.float32)

    def loss_weight(self, ids: np.ndarray) -> np.ndarray | None:
        """Factor on each kept pair's loss, float32, shape of ``ids``; None: 1 for all."""
        return None

    def observe(self, report: Report) -> None:
        """Learn from the losses of one micro-batch. Called in order of micro-batches."""

    def stop_shrinking(self) -> None:
        """Keep every pair from now on, for the rest of the run."""

    def metrics(self) -> dict[str, float]:
        """Numbers worth plotting, by name: exactly those of `metric_names`."""
        return {}

    def news(self) -> list[News]:
        """What there is to tell the user since the last call."""
        news, self._news = self._news, []
        return news

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the future, as numpy arrays and plain Python."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """One state out of those of several ranks, for each rank of another number of ranks."""
        return states[0]
