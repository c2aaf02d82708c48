"""Ways to choose pairs. To add one: a file here, and a line in STRATEGIES."""

from __future__ import annotations

from ...config import AutoAssistConfig, flag
from ...errors import ConfigError
from ..features import FeatureSource
from .autoassist import AutoAssist
from .base import Report, Strategy
from .uniform import Uniform

STRATEGIES: dict[str, type[Strategy]] = {
    "autoassist": AutoAssist,
    "uniform": Uniform,
}


def strategy_class(name: str) -> type[Strategy]:
    """The class of a strategy by name.

    Raises:
        ConfigError: there is no such strategy
    """
    if name not in STRATEGIES:
        known = ", ".join(repr(key) for key in STRATEGIES)
        raise ConfigError(f"{flag('strategy')} is {name!r}, expected one of: {known}")
    return STRATEGIES[name]


def build_strategy(config: AutoAssistConfig, features: FeatureSource | None) -> Strategy:
    """The strategy that ``config`` names, on ``features``."""
    return strategy_class(config.strategy)(config, features)


__all__ = ["STRATEGIES", "Report", "Strategy", "build_strategy", "strategy_class"]
