"""Competence-based curriculum learning (Platanios et al., NAACL 2019): see `core/curriculum.py`."""

from __future__ import annotations

import numpy as np

from ...config import AutoAssistConfig
from ..curriculum import SETTINGS, Curriculum, grows_over, reads_rarity
from .base import Corpus, Strategy


class Competence(Strategy):
    """Every pair that the curriculum allows, and no other."""

    settings = SETTINGS

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        self._curriculum = Curriculum(config, corpus.source_sizes, corpus.features, corpus.eligible)

    @classmethod
    def needs_features(cls, config: AutoAssistConfig) -> bool:
        """The rarity of each pair is stored beside them."""
        return reads_rarity(config)

    @classmethod
    def needs_end(cls, config: AutoAssistConfig) -> str:
        """The default T is a share of the run."""
        return grows_over(config)

    @classmethod
    def metric_names(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """The competence."""
        return ("competence",)

    @property
    def competence(self) -> float:
        """c(t), in (0, 1]."""
        if self.stopped:
            return 1.0
        return self._curriculum.competence(self.moment.update, self.moment.share)

    @property
    def uniform_share(self) -> float:
        """All or nothing: what is kept of an easy part is no sample of the data."""
        return 1.0 if self.competence >= 1.0 else 0.0

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """1 for pairs no harder than the competence allows, else 0."""
        return self._curriculum.allows(ids, self.competence).astype(np.float32)

    def metrics(self) -> dict[str, float]:
        """The competence c(t), in (0, 1]."""
        return {"competence": self.competence}
