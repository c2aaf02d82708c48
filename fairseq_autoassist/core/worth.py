"""What a pair is worth to the Boss: its loss, or how that compares with what was to be expected.

Three utilities, each in nats/token; the Assistant learns which pairs have a high one:

- ``loss``: the paper's (Zhang et al. 2019, section 3.2).
- ``progress``: how far the loss is below the pair's own history, a moving average of what it was.
  What is learned already does not fall, nor does what cannot be learned (learning progress: Graves
  et al. 2017). From one pass to the next a loss falls less than dropout moves it: on Multi30k the
  Assistant could not foresee that, hence the average.
- ``excess``: how far the loss is above that of a reference model, such as a smaller one. What the
  reference cannot explain either is not worth the time (reducible holdout loss: Mindermann et al.
  2022, eq. 3, whose reference has not seen the pairs).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import UTILITIES, AutoAssistConfig
from ..errors import FeatureError
from .memory import LossMemory

LOSS, PROGRESS, EXCESS = UTILITIES
HISTORY = 0.8  # weight of the past each time a pair is trained on: about its last five losses


class Worth:
    """The utility that a config asks for.

    Args:
        config: names it
        pairs: of the data
        features: hold the reference's losses, for ``excess``

    Raises:
        FeatureError: ``excess``, and there are no losses of a reference
    """

    def __init__(self, config: AutoAssistConfig, pairs: int, features: Any) -> None:
        self.kind = config.utility
        self._memory = LossMemory(pairs) if self.kind == PROGRESS else None
        self._reference: np.ndarray | None = None
        if self.kind == EXCESS:
            self._reference = getattr(features, "reference", None)
            if self._reference is None:
                raise FeatureError("the utility 'excess' needs losses of a reference model")

    def take(self, ids: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """Utilities of pairs just trained on, float32 (n,): NaN where nothing was to be expected.

        Args:
            ids: of the pairs, int64 (n,)
            losses: finite, nats/token, float32 (n,)
        """
        if self._memory is not None:
            before = self._memory.of(ids)
            now = HISTORY * before + (1.0 - HISTORY) * losses
            self._memory.record(ids, np.where(np.isnan(before), losses, now))
            return before - losses
        if self._reference is not None:
            return losses - self._reference[ids]
        return losses

    def state_dict(self) -> dict[str, Any] | None:
        """The histories that progress is measured from; None: there are none."""
        return None if self._memory is None else self._memory.state_dict()

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Take over a saved state; None: forget everything.

        Raises:
            ValueError: it remembers another number of pairs
        """
        if self._memory is not None:
            self._memory.load_state_dict(state)
