"""Plain training through the same stream: every item is kept."""

from __future__ import annotations

from typing import Any

from .base import Needs, Strategy


class Uniform(Strategy):
    """Keeps every item: the baseline, from the same stream as the others.

    On a small corpus its batches are cut in order of length (`wholepass.py`), otherwise by buckets.
    """

    about = "keeps every item: plain training through the same stream"

    @classmethod
    def needs(cls, options: Any) -> Needs:
        """Nothing."""
        return Needs(prior="ignored", keeps_all=True)
