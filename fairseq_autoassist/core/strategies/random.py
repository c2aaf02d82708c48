"""The control: as many pairs as another strategy keeps, but any.

What a strategy gains over this one at equal tokens, it gains by choosing.
"""

from __future__ import annotations

import numpy as np

from ...config import AutoAssistConfig
from .base import Strategy


class Random(Strategy):
    """Keeps a share of the pairs at random.

    Every pair that it keeps is a uniform sample of the data.
    """

    uses_prior = False
    settings = ("keep",)

    @classmethod
    def keeps_all(cls, config: AutoAssistConfig) -> bool:
        """With a share of 1."""
        return config.keep >= 1.0

    @property
    def uniform_share(self) -> float:
        """The share of pairs kept; all once shrinking was stopped."""
        return 1.0 if self.stopped else self.config.keep

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """The same for all pairs."""
        return np.full(len(ids), self.uniform_share, dtype=np.float32)
