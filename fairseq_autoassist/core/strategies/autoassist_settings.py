"""What AutoAssist needs and logs, by its settings."""

from __future__ import annotations

from ...config import AutoAssistConfig
from ..curriculum import SETTINGS as CURRICULUM_SETTINGS
from ..curriculum import grows_over
from .base import Strategy


class AutoAssistSettings(Strategy):
    """The part of `AutoAssist` that is known before there is one."""

    needs_losses = True
    learns_columns = True
    settings = (
        *("eta", "weight_decay", "threshold_decay", "gamma_decay", "floor", "lower", "upper"),
        *("guard_pairs", "competence", *CURRICULUM_SETTINGS),
    )

    @classmethod
    def reads(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """Its settings, but for those of what is not switched on."""
        off = () if config.competence else CURRICULUM_SETTINGS
        return tuple(name for name in cls.settings if name not in off)

    @classmethod
    def needs_features(cls, config: AutoAssistConfig) -> bool:
        """Always."""
        return True

    @classmethod
    def needs_end(cls, config: AutoAssistConfig) -> str:
        """For a curriculum that grows over a share of the run."""
        return grows_over(config) if config.competence else ""

    @classmethod
    def metric_names(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """Those of the Assistant, and the competence where there is a curriculum."""
        names = ("T", "gamma", "acc", "majority")
        return (*names, "competence") if config.competence else names
