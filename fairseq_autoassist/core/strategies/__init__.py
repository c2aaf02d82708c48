"""Strategies: ways to choose items. A new one is a file here and a line in STRATEGIES."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from ...errors import ConfigError
from ...options import Options, flag
from .autoassist import AutoAssist
from .base import Choice, Corpus, Needs, Report, Strategy, TrainingPoint
from .competence import Competence
from .easy_first import METRIC, SWITCH, EasyFirst, EasyFirstOptions
from .infobatch import InfoBatch
from .own_loss import OwnLossAssist
from .prior import PriorAlone
from .random import Random
from .spl import SelfPaced
from .uniform import Uniform

STRATEGIES: dict[str, type[Strategy]] = {
    "autoassist": AutoAssist,
    "uniform": Uniform,
    "random": Random,
    "competence": Competence,
    "spl": SelfPaced,
    "infobatch": InfoBatch,
    "prior": PriorAlone,
    "own-loss": OwnLossAssist,
}


class Settings(Protocol):
    """Settings of a run, which name a strategy."""

    @property
    def strategy(self) -> str:
        """Name of the strategy, a key of `STRATEGIES`."""


def described() -> str:
    """Name and description of every strategy, for the help of an option."""
    return "; ".join(f"{name!r} {kind.about}" for name, kind in STRATEGIES.items())


def option_classes() -> list[type[Options]]:
    """Option classes of all strategies, and of the wrapper around any."""
    found = [*(kind.option_class for kind in STRATEGIES.values()), EasyFirstOptions]
    return [kind for kind in dict.fromkeys(found) if kind is not Options]


def strategy_class(name: str) -> type[Strategy]:
    """Look up the class of a strategy by name.

    Raises:
        ConfigError: there is no such strategy
    """
    if name not in STRATEGIES:
        known = ", ".join(repr(key) for key in STRATEGIES)
        raise ConfigError(f"{flag('strategy')} is {name!r}, expected one of: {known}")
    return STRATEGIES[name]


def begins_easily(config: Settings, strategy: str | None = None) -> bool:
    """Tell whether hard items wait at the start of a run.

    Args:
        config: settings of the run
        strategy: name of a strategy; None: the one that ``config`` names
    """
    kind = strategy_class(strategy or config.strategy)
    return getattr(config, SWITCH) or kind.easy_first


def needs_of(config: Settings, strategy: str | None = None) -> Needs:
    """Needs of a strategy; the arguments are those of `begins_easily`."""
    needs = strategy_class(strategy or config.strategy).needs(config)
    return EasyFirst.needs_around(needs, config) if begins_easily(config, strategy) else needs


def metric_names(config: Settings) -> tuple[str, ...]:
    """Names of the metrics of the strategy that ``config`` names; logged as ``aa_<name>``."""
    names = strategy_class(config.strategy).metric_names
    return (*names, METRIC) if begins_easily(config) else names


def build_strategy(config: Any, corpus: Corpus) -> Strategy:
    """Build the strategy that ``config`` names, for ``corpus``."""
    strategy = strategy_class(config.strategy)(config, corpus)
    return EasyFirst(strategy, config, corpus) if begins_easily(config) else strategy


def declared_by(name: str) -> tuple[str, ...]:
    """Names of the strategies that declare an option; empty: it belongs to none."""
    return tuple(
        key
        for key, kind in STRATEGIES.items()
        if name in (field.name for field in dataclasses.fields(kind.option_class))
    )


__all__ = [
    "STRATEGIES",
    "Choice",
    "Corpus",
    "Needs",
    "Report",
    "Settings",
    "Strategy",
    "TrainingPoint",
    "begins_easily",
    "build_strategy",
    "described",
    "metric_names",
    "needs_of",
    "option_classes",
    "declared_by",
    "strategy_class",
]
