"""The Assistant: online L2-regularised logistic regression.

Zhang et al. 2019, eq. (5), with psi_i the features of item i, z_i its label and
g(psi | phi) = 1 / (1 + exp(-phi . psi)):

    phi <- (1 - lambda) phi - eta * mean_i grad l_CE(z_i, g(psi_i | phi))

phi is stored as ``scale * direction``. The decay is then one multiplication. Where rows are sparse,
an update costs time in the non-zeros of the report, not in the dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from ..errors import FeatureError
from .source import FeatureSource, Rows

# The scale is folded back into the direction below this, which costs time in the dimensions. It
# happens rarely, and float32 is still far from its limits.
_SMALLEST_SCALE = 1e-4
_HUGE = 2**20  # float32 numbers in 4 MiB


class Assistant:
    """Logistic regression g(psi | phi), learned online.

    Args:
        dimensions: number of features
        eta: learning rate, per report
        weight_decay: lambda, share of phi forgotten per report
    """

    def __init__(self, dimensions: int, eta: float, weight_decay: float) -> None:
        self.eta = eta
        self.weight_decay = weight_decay
        # numpy asks for huge pages from 4 MiB on. With them a report on a million features costs
        # a fifth less. Untouched pages take no memory.
        self._direction = np.zeros(max(dimensions, _HUGE), dtype=np.float32)[:dimensions]
        self._scale = 1.0

    @property
    def weights(self) -> np.ndarray:
        """phi, float32, shape (dimensions,)."""
        return self._direction * np.float32(self._scale)

    def predict(self, features: FeatureSource, ids: np.ndarray) -> np.ndarray:
        """g(psi_i | phi) for items by id: float32 in (0, 1), shape of ``ids``.

        Raises:
            FeatureError: features are not finite
        """
        return self._probability(features.scores(ids, self._direction), ids)

    def predict_rows(self, rows: Rows, ids: np.ndarray) -> np.ndarray:
        """g(psi_i | phi) for the rows of items (n, dimensions): float32, shape (n,).

        Raises:
            FeatureError: features are not finite
        """
        return self._probability(rows.dot(self._direction), ids)

    def learn(self, rows: Rows, positive: np.ndarray, predicted: np.ndarray) -> None:
        """Make one step of eq. (5).

        Args:
            rows: features (n, dimensions), n >= 1
            positive: labels z, bool, shape (n,)
            predicted: g(psi | phi) under the present phi, shape (n,)
        """
        residual = (predicted - positive).astype(np.float32) / np.float32(len(positive))
        self._scale *= 1.0 - self.weight_decay
        rows.add_to(self._direction, residual, -self.eta / self._scale)
        if self._scale < _SMALLEST_SCALE:
            self._direction *= np.float32(self._scale)
            self._scale = 1.0

    def state_dict(self) -> dict[str, Any]:
        """Copy the direction (float32 array) and the scale."""
        return {"direction": self._direction.copy(), "scale": self._scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: the saved Assistant has another number of features
        """
        direction = np.asarray(state["direction"], dtype=np.float32)
        if direction.shape != self._direction.shape:
            raise ValueError(
                f"the saved Assistant has {direction.size} features, the data has "
                f"{self._direction.size}: the features were built from other dictionaries"
            )
        self._direction[:] = direction
        self._scale = float(state["scale"])

    @staticmethod
    def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
        """Mean of the phi of several Assistants, as a state."""
        phi = np.mean([s["direction"] * np.float32(s["scale"]) for s in states], axis=0)
        return {"direction": phi.astype(np.float32), "scale": 1.0}

    def _probability(self, scores: np.ndarray, ids: np.ndarray) -> np.ndarray:
        wrong = ~np.isfinite(scores)  # weights of 0 hide no NaN and no infinity
        if wrong.any():
            raise FeatureError(
                f"the prediction for item {ids[wrong][0]} is not a number: found NaN, infinity or "
                "huge numbers in its features, expected rows of norm about 1; make them again"
            )
        return expit(scores * np.float32(self._scale))
