"""How far pairs that are unlike those of the validation set are thinned out.

Before training each pair gets its density ratio w = p(pair | validation set) / p(pair | training
data), estimated as the odds of a logistic regression that tells the two apart (`tfidf/ratio.py`;
Bickel et al. 2009, "Discriminative learning under covariate shift"). Kept with a probability
proportional to w, training pairs are distributed as validation pairs are: selection by domain
(Moore & Lewis 2010; Axelrod et al. 2011), drawn instead of cut off. The relevance of a pair is
r = min(1, w / c), where c is such that a small share of the pairs, those most like the validation
set, has relevance 1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..config import AutoAssistConfig, flag
from ..errors import FeatureError
from .plan import Moment

SETTINGS = ("relevance_power", "relevance_ramp", "relevance_floor")


def ramps_over(config: AutoAssistConfig) -> str:
    """The setting of the ramp, where there is one: a share of the run; empty: there is none."""
    return f"{flag('relevance_ramp')} {config.relevance_ramp}" if config.relevance_ramp else ""


class Relevance:
    """r^a of pairs by id, at least a floor: a factor on P(keep).

    a grows evenly from 0 to ``relevance_power`` over the first ``relevance_ramp`` of the run, so
    that training begins with all pairs and moves towards the relevant ones (gradual fine-tuning:
    van der Wees et al. 2017); with a ramp of 0 it stands there all along.

    Args:
        config: power, ramp and floor
        features: hold r of each pair, as ``relevance``

    Raises:
        FeatureError: they do not
    """

    def __init__(self, config: AutoAssistConfig, features: Any) -> None:
        relevance = getattr(features, "relevance", None)
        if relevance is None:
            raise FeatureError("choosing by relevance needs the relevance of each pair")
        self._relevance: np.ndarray = relevance
        self._power, self._ramp = config.relevance_power, config.relevance_ramp
        self._floor = config.relevance_floor

    def exponent(self, moment: Moment) -> float:
        """a, in [0, power], at a moment of the run."""
        if self._ramp == 0.0:
            return self._power
        if math.isinf(moment.update):  # the trainer's count is not known yet: nothing is skipped
            return 0.0
        return self._power * min(1.0, moment.share / self._ramp)

    def least(self, moment: Moment) -> float:
        """No pair's factor is below this."""
        return 1.0 if self.exponent(moment) == 0.0 else self._floor

    def factor(self, ids: np.ndarray, moment: Moment) -> np.ndarray:
        """The factor on P(keep), float32 in [floor, 1], shape of ``ids``.

        Args:
            ids: of pairs, int64 (n,)
            moment: of the run
        """
        part = self._relevance[ids] ** np.float32(self.exponent(moment))
        return np.maximum(part, np.float32(self._floor), out=part)
