"""Selection by domain: pairs like those of the validation set are kept, the others thinned out.

The Boss's losses are not looked at: beside ``autoassist --autoassist-relevance`` this tells how
much of what that gains is the Assistant's. Sources: see `core/relevance.py`.
"""

from __future__ import annotations

import numpy as np

from ...config import AutoAssistConfig
from ..relevance import SETTINGS, Relevance, ramps_over
from .base import Corpus, Strategy


class ByRelevance(Strategy):
    """P(keep) is the factor of `Relevance`."""

    settings = SETTINGS

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        if corpus.features is None:
            raise ValueError("the strategy 'relevance' needs features")
        self._relevance = Relevance(config, corpus.features)

    @classmethod
    def needs_features(cls, config: AutoAssistConfig) -> bool:
        """What is to be known of the pairs is stored beside them."""
        return True

    @classmethod
    def needs_beside(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """The relevance of each pair."""
        return ("relevance",)

    @classmethod
    def needs_end(cls, config: AutoAssistConfig) -> str:
        """For a ramp, which is a share of the run."""
        return ramps_over(config)

    @property
    def uniform_share(self) -> float:
        """The floor: what is kept beside it is no sample of the data."""
        return 1.0 if self.stopped else self._relevance.least(self.moment)

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """r^a, at least the floor; float32, shape of ``ids``."""
        if self.stopped:
            return np.ones(len(ids), dtype=np.float32)
        return self._relevance.factor(ids, self.moment)
