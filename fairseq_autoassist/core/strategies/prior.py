"""The prior alone: what tells how much of a gain is the Assistant's."""

from __future__ import annotations

from typing import Any

from .base import Needs, Strategy


class PriorAlone(Strategy):
    """Keeps what the prior lets through: P(keep) is the prior, for the planner multiplies by it.

    Losses and features are not looked at. Every item kept is a uniform sample of the data as the
    prior weighs them.
    """

    about = "keeps what the prior lets through, without an Assistant"

    @classmethod
    def needs(cls, options: Any) -> Needs:
        """A prior."""
        return Needs(prior="required")
