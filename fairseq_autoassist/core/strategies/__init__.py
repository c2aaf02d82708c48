"""Strategies: ways to choose items. A new one is a file here and a line in STRATEGIES."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError
from ...options import Options, flag
from .autoassist import AutoAssist
from .base import Choice, Corpus, Needs, Report, Strategy, TrainingPoint
from .competence import Competence
from .easy_first import METRIC, SWITCH, EasyFirst, EasyFirstOptions
from .infobatch import InfoBatch
from .prior import PriorAlone
from .random import Random
from .spl import SelfPaced
from .uniform import Uniform

if TYPE_CHECKING:
    from ...config import CommonOptions

STRATEGIES: dict[str, type[Strategy]] = {
    "autoassist": AutoAssist,
    "uniform": Uniform,
    "random": Random,
    "competence": Competence,
    "spl": SelfPaced,
    "infobatch": InfoBatch,
    "prior": PriorAlone,
}


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


def begins_easily(config: Any) -> bool:
    """Tell whether hard items wait at the start of a run."""
    return getattr(config, SWITCH) or strategy_class(config.strategy).easy_first


def needs_of(config: CommonOptions) -> Needs:
    """Needs of the strategy that ``config`` names."""
    needs = strategy_class(config.strategy).needs(config)
    return EasyFirst.needs_around(needs, config) if begins_easily(config) else needs


def metric_names(config: CommonOptions) -> tuple[str, ...]:
    """Names of the metrics of the strategy that ``config`` names; logged as ``aa_<name>``."""
    names = strategy_class(config.strategy).metric_names
    return (*names, METRIC) if begins_easily(config) else names


def build_strategy(config: Any, corpus: Corpus) -> Strategy:
    """Build the strategy that ``config`` names, for ``corpus``."""
    strategy = strategy_class(config.strategy)(config, corpus)
    return EasyFirst(strategy, config, corpus) if begins_easily(config) else strategy


def readers_of(name: str) -> tuple[str, ...]:
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
    "Strategy",
    "TrainingPoint",
    "begins_easily",
    "build_strategy",
    "described",
    "metric_names",
    "needs_of",
    "option_classes",
    "readers_of",
    "strategy_class",
]
