"""Plain training through the same stream: every pair is kept."""

from __future__ import annotations

from ...config import AutoAssistConfig
from .base import Strategy


class Uniform(Strategy):
    """Keeps everything: the baseline, from the same stream as the others.

    Its batches are those of buckets too, but on a small corpus: see wholepass.py.
    """

    uses_prior = False

    @classmethod
    def keeps_all(cls, config: AutoAssistConfig) -> bool:
        """It does."""
        return True
