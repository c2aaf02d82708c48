"""What AutoAssist needs, logs and refuses, by its settings."""

from __future__ import annotations

from typing import Any

from ...config import AutoAssistConfig, flag
from ...errors import ConfigError
from ..curriculum import SETTINGS as CURRICULUM_SETTINGS
from ..curriculum import grows_over
from ..worth import EXCESS
from .base import Strategy


class AutoAssistSettings(Strategy):
    """The part of `AutoAssist` that is known before there is one."""

    needs_losses = True
    learns_columns = True
    settings = (
        *("eta", "weight_decay", "intercept", "threshold_decay", "threshold_from", "gamma_decay"),
        *("gamma_max", "floor", "warmup_updates", "anneal", "weights", "weight_clip"),
        *("extra_features", "lower", "upper", "band", "guard_pairs", "utility"),
        *("competence", *CURRICULUM_SETTINGS),
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
    def needs_beside(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """Losses of a reference for a utility above them."""
        return ("reference",) if config.utility == EXCESS else ()

    @classmethod
    def needs_end(cls, config: AutoAssistConfig) -> str:
        """For what happens in a share of the run."""
        for name in ("anneal", "band"):
            if getattr(config, name):
                return f"{flag(name)} {getattr(config, name)}"
        return grows_over(config) if config.competence else ""

    @classmethod
    def metric_names(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """Those of the Assistant, and the competence where there is a curriculum."""
        names = ("T", "gamma", "acc", "majority", "ess")
        return (*names, "competence") if config.competence else names

    @classmethod
    def check(cls, config: AutoAssistConfig, state: dict[str, Any] | None = None) -> None:
        """Refuse what leaves no uniform slice where one is needed: without a word the guard would
        not judge, or T_k and with it the Assistant not be learned."""
        if config.competence and config.threshold_from == "uniform":
            raise ConfigError(
                f"{flag('threshold_from')} uniform needs pairs that are kept uniformly, and there "
                f"are none while pairs wait for {flag('competence')}: leave one of them out"
            )
