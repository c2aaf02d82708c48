"""The control: as many items as another strategy keeps, but any.

What a strategy gains over this one at equal tokens, it gains by choosing.
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

    Every item that it keeps is a uniform sample of the data.
    """

    about = "keeps a share of the pairs, any: the control"
    option_class = RandomOptions

    def __init__(self, options: RandomOptions, corpus: Corpus) -> None:
        super().__init__(options, corpus)
        self._keep = options.keep

    @classmethod
    def needs(cls, options: RandomOptions) -> Needs:
        """Nothing."""
        return Needs(prior="ignored", keeps_all=options.keep >= 1.0)

    def choose(self, ids: np.ndarray, point: TrainingPoint) -> Choice:
        """The same probability for all items: the share, or 1 once shrinking was stopped."""
        share = 1.0 if self.stopped else self._keep
        return Choice(np.full(len(ids), share, dtype=np.float32), share)
