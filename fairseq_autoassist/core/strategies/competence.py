"""Competence-based curriculum learning (Platanios et al., NAACL 2019).

A pair may be trained on once its difficulty, as the share of pairs that are easier, is at most
the competence of the model, which grows as the square root of time (eq. 7 with p = 2):

    c(t) = min(1, sqrt(t (1 - c_0^2) / T + c_0^2))

t is counted in updates, as there; where a run ends by --max-epoch alone, T is a number of passes,
and the early ones, of few pairs, are short: c then grows faster, and is 1 well before half of the
updates.
"""

from __future__ import annotations

import math

import numpy as np

from ...config import AutoAssistConfig, flag
from ...errors import ConfigError
from .base import Corpus, Strategy

_STEPS = 2**16 - 1  # a share is remembered in two bytes


class Competence(Strategy):
    """Easy pairs first, by sentence length or by rarity of the source's words.

    Difficulty (section 3 of the paper): tokens of the source sentence, or
    -sum_k log p(w_k) over its tokens, with the frequencies of the training data.
    """

    settings = ("competence_by", "competence_start", "competence_updates")
    metric_names = ("competence",)

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        self._sizes = corpus.source_sizes if config.competence_by == "length" else None
        self._barred: np.ndarray | None = None  # not the ids: a byte a pair, where those are eight
        if corpus.eligible is not None:
            self._barred = np.ones(corpus.pairs, dtype=bool)
            self._barred[corpus.eligible] = False
        self._easier: np.ndarray | None = None  # made when it is first needed

    @classmethod
    def needs_features(cls, config: AutoAssistConfig) -> bool:
        """The rarity of each pair is stored beside them."""
        return config.competence_by == "rarity"

    @classmethod
    def needs_end(cls, config: AutoAssistConfig) -> str:
        """The default T is a share of the run."""
        return "" if config.competence_updates else flag("competence-updates") + " 0"

    @property
    def competence(self) -> float:
        """c(t), in (0, 1]."""
        start, updates = self.config.competence_start, self.config.competence_updates
        if self.stopped:
            return 1.0
        grown = self.moment.update / updates if updates else 2.0 * self.moment.share
        return min(1.0, math.sqrt(grown * (1.0 - start**2) + start**2))

    @property
    def uniform_share(self) -> float:
        """All or nothing: what is kept of an easy part is no sample of the data."""
        return 1.0 if self.competence >= 1.0 else 0.0

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """1 for pairs no harder than the competence allows, else 0."""
        competence = self.competence
        if competence >= 1.0:
            self._easier = None  # not needed again
            return np.ones(len(ids), dtype=np.float32)
        if self._easier is None:
            self._easier = self._rank()
        return (self._easier[ids] <= competence * _STEPS).astype(np.float32)

    def metrics(self) -> dict[str, float]:
        """The competence c(t), in (0, 1]."""
        return {"competence": self.competence}

    def _rank(self) -> np.ndarray:
        """Share of the pairs that may be trained on that are easier than each, in steps of
        1 / 65535: uint16, shape (pairs,)."""
        difficulty = self._sizes
        if difficulty is None:
            difficulty = getattr(self.features, "rarity", None)
        if difficulty is None:
            raise ConfigError(f"{flag('competence-by')} rarity needs features, and there are none")
        count = len(difficulty)
        if self._barred is not None:  # behind all others, and then left out
            difficulty = difficulty.astype(np.float32)
            difficulty[self._barred] = np.inf
            count -= int(self._barred.sum())
        # ties are broken by id, so that the allowed part grows evenly
        order = np.argsort(difficulty, kind="stable")[:count]
        easier = np.zeros(len(difficulty), dtype=np.uint16)
        easier[order] = np.linspace(0, _STEPS, len(order)).astype(np.uint16)
        return easier
