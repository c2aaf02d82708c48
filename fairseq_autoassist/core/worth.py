"""What a pair is worth to the Boss: its loss, or how that compares with what was to be expected.

Three utilities, each in nats/token; the Assistant learns which pairs have a high one:

- ``loss``: the paper's (Zhang et al. 2019, section 3.2).
- ``progress``: how far the pair's loss fell since it was last trained on. What is learned already
  does not fall, nor does what cannot be learned (learning progress: Graves et al. 2017, "prediction
  gain").
- ``excess``: how far the loss is above that of a reference model, such as a smaller one. What the
  reference cannot explain either is not worth the time (reducible holdout loss: Mindermann et al.
  2022, eq. 3, whose reference has not seen the pairs).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import AutoAssistConfig
from ..errors import FeatureError
from .memory import LossMemory

LOSS, PROGRESS, EXCESS = "loss", "progress", "excess"
UTILITIES = (LOSS, PROGRESS, EXCESS)


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
            utilities = self._memory.of(ids) - losses
            self._memory.record(ids, losses)
            return utilities
        if self._reference is not None:
            return losses - self._reference[ids]
        return losses

    def state_dict(self) -> dict[str, Any] | None:
        """The losses that progress is measured from; None: there are none."""
        return None if self._memory is None else self._memory.state_dict()

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Take over a saved state; None: forget everything.

        Raises:
            ValueError: it remembers another number of pairs
        """
        if self._memory is not None:
            self._memory.load_state_dict(state)
