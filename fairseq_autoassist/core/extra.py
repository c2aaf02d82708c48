"""Cheap features beside TF-IDF: lengths, their ratio, and the pair's own last loss.

Not in the paper. One learning rate has to serve them and the unit-norm TF-IDF blocks: lengths and
ratio are scaled to a standard deviation of `SCALE` over the data, and a loss counts in multiples of
T_k.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from .memory import LossMemory
from .source import FeatureSource

SCALE = 0.3


class ExtraFeatures:
    """TF-IDF features with dense columns after them; a `FeatureSource`.

    Args:
        features: what is extended
        source_sizes, target_sizes: tokens per sentence, shape (pairs,)
        kinds: which of `config.EXTRA_FEATURES`
    """

    def __init__(
        self,
        features: FeatureSource,
        source_sizes: np.ndarray,
        target_sizes: np.ndarray,
        kinds: tuple[str, ...],
    ) -> None:
        self.features = features
        columns = []
        source = np.log(source_sizes.astype(np.float32))
        target = np.log(target_sizes.astype(np.float32))
        if "lengths" in kinds:
            columns += [_standard(source), _standard(target)]
        if "ratio" in kinds:
            ratio = _standard(target - source)
            columns += [ratio, np.abs(ratio) - np.float32(SCALE)]
        # two bytes a value: there is one for every pair
        self._fixed = np.stack(columns, 1).astype(np.float16) if columns else None
        self.memory = LossMemory(len(source_sizes)) if "loss" in kinds else None
        self._columns = len(columns) + (0 if self.memory is None else 2)

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return self.features.rows

    @property
    def dimensions(self) -> int:
        """Those of TF-IDF, and the extra columns."""
        return self.features.dimensions + self._columns

    def gather(self, ids: np.ndarray) -> Any:
        """Rows of pairs by id: CSR float32 (n, dimensions)."""
        rows: Any = self.features.gather(ids)
        return type(rows)(sp.hstack([rows.matrix, self.dense(ids)], format="csr"))

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids) @ weights``: float32 (n,)."""
        split = self.features.dimensions
        return self.features.scores(ids, weights[:split]) + self.dense(ids) @ weights[split:]

    def dense(self, ids: np.ndarray) -> np.ndarray:
        """The extra columns of pairs by id, float32 (n, columns).

        Of the last loss: whether it is known, and how far it was from T_k (0 at T_k, in multiples
        of it, at most 2).
        """
        parts = [] if self._fixed is None else [self._fixed[ids].astype(np.float32)]
        if self.memory is not None:
            relative = self.memory.of(ids) - 1.0
            known = ~np.isnan(relative)
            parts.append(np.where(known, SCALE, 0.0)[:, None])
            parts.append(np.where(known, np.clip(relative, -1.0, 2.0), 0.0)[:, None])
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def observe(self, ids: np.ndarray, losses: np.ndarray, threshold: float) -> None:
        """Remember losses (nats/token, shape (n,)) as multiples of T_k."""
        if self.memory is not None and threshold > 0:
            self.memory.record(ids, losses / threshold)

    def state_dict(self) -> dict[str, Any] | None:
        """What is remembered of the losses; None: nothing."""
        return None if self.memory is None else self.memory.state_dict()

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Take over a saved state.

        Raises:
            ValueError: it remembers another number of pairs
        """
        if self.memory is not None and state is not None:
            self.memory.load_state_dict(state)


def _standard(values: np.ndarray) -> np.ndarray:
    deviation = float(values.std()) or 1.0
    return np.clip((values - values.mean()) / deviation, -4.0, 4.0) * np.float32(SCALE)
