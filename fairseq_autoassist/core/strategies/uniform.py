"""Plain training through the same stream: every item is kept."""

from __future__ import annotations

from typing import Any

from .base import Needs, Strategy


class Uniform(Strategy):
    """Keeps everything: the baseline, from the same stream as the others.

    Its batches are those of buckets too, but on a small corpus: see wholepass.py.
    """

    about = "keeps every pair: plain training through the same stream"

    @classmethod
    def needs(cls, options: Any) -> Needs:
        """Nothing."""
        return Needs(prior="ignored", keeps_all=True)
