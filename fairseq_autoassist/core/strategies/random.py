"""The control: as many items as another strategy keeps, chosen at random.

A gain over this strategy at equal tokens is a gain by choosing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...options import Options, option
from .base import Choice, Corpus, Needs, Strategy, TrainingPoint


@dataclass(frozen=True)
class RandomOptions(Options):
    """Options of `Random`."""

    keep: float = option(0.7, "share that strategy 'random' keeps", "ours", low=0.01, high=1.0)


class Random(Strategy):
    """Keeps a share of the items at random.

    Kept items are a uniform sample of the data.
    """

    about = "keeps a share of the items at random: the control"
    option_class = RandomOptions

    def __init__(self, options: RandomOptions, corpus: Corpus) -> None:
        super().__init__(options, corpus)
        self._keep = options.keep

    @classmethod
    def needs(cls, options: RandomOptions) -> Needs:
        """Nothing."""
        return Needs(prior="ignored", keeps_all=options.keep >= 1.0)

    def choose(self, ids: np.ndarray, point: TrainingPoint) -> Choice:
        """Keep all items with the same probability: the share, or 1 after shrinking was stopped."""
        share = 1.0 if self.stopped else self._keep
        return Choice(np.full(len(ids), share, dtype=np.float32), share)
