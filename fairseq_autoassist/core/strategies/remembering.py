"""What strategies have in common that decide by the last known loss of each pair."""

from __future__ import annotations

import numpy as np

from ...config import AutoAssistConfig
from ..memory import LossMemory
from .base import Corpus, Report, Strategy


class Remembering(Strategy):
    """Remembers the last finite loss of every pair (`memory`), and keeps every pair."""

    needs_losses = True

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        self.memory = LossMemory(corpus.pairs)

    def observe(self, report: Report) -> None:
        """Remember finite losses."""
        finite = np.isfinite(report.losses)
        self.memory.record(report.ids[finite], report.losses[finite])
