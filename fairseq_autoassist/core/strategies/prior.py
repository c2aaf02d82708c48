"""The prior alone: the control that shows how much of a gain is the Assistant's."""

from __future__ import annotations

from typing import Any

from .base import Needs, Strategy


class PriorAlone(Strategy):
    """Keeps what the prior lets through: P(keep) is the prior, for the planner multiplies by it.

    It reads neither losses nor features. Kept items are a uniform sample of the data as the prior
    weighs them.
    """

    about = "keeps items by the prior alone, without an Assistant"

    @classmethod
    def needs(cls, options: Any) -> Needs:
        """A prior."""
        return Needs(prior="required")
