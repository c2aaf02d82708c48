"""How much a pair is like those of the validation set, and how far that thins out the rest.

The density ratio w(x) = p(x | validation set) / p(x | training data) of each pair is estimated
once before training (`tfidf/ratio.py`), as the odds of a logistic regression that tells the two
apart (Bickel et al. 2009, "Discriminative learning under covariate shift"). Kept with a probability
proportional to w, training pairs are distributed as validation pairs are: selection by domain
(Moore & Lewis 2010; Axelrod et al. 2011), drawn instead of cut off.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import AutoAssistConfig
from ..errors import FeatureError

_SAMPLE = 2**20  # ratios that the quantile is taken of, at most: evenly spaced ones


class Relevance:
    """min(1, w / c)^a, at least a floor, for pairs by id.

    c is such that a share of the pairs (``relevance_share``) is kept whatever else: those most like
    the validation set. a grows evenly from 0 to ``relevance_power`` over the first
    ``relevance_ramp`` of the run, so that training begins with all pairs and moves towards those
    (gradual fine-tuning: van der Wees et al. 2017); with a ramp of 0 it stands there all along.

    Args:
        config: share, power, ramp and floor
        features: hold the ratios, as ``relevance``

    Raises:
        FeatureError: there are none
    """

    def __init__(self, config: AutoAssistConfig, features: Any) -> None:
        ratios = getattr(features, "relevance", None)
        if ratios is None:
            raise FeatureError("choosing by relevance needs the density ratios of the pairs")
        self._ratios: np.ndarray = ratios
        self._power, self._ramp = config.relevance_power, config.relevance_ramp
        self._floor = config.relevance_floor
        sample = ratios[:: len(ratios) // _SAMPLE + 1]
        self._top = float(np.quantile(sample, 1.0 - config.relevance_share)) if len(sample) else 1.0

    def exponent(self, share: float) -> float:
        """a, in [0, power], when ``share`` of the run is over."""
        return self._power * (1.0 if share >= self._ramp else share / self._ramp)

    def least(self, share: float) -> float:
        """No pair's factor is below this."""
        return 1.0 if self.exponent(share) == 0.0 else self._floor

    def factor(self, ids: np.ndarray, share: float) -> np.ndarray:
        """The factor on P(keep), float32 in [floor, 1], shape of ``ids``.

        Args:
            ids: of pairs, int64 (n,)
            share: of the run that is over, in [0, 1]
        """
        part = np.minimum(self._ratios[ids] / np.float32(self._top), np.float32(1.0))
        part **= np.float32(self.exponent(share))
        return np.maximum(part, np.float32(self._floor), out=part)
