"""Ways to choose pairs. To add one: a file here, and a line in STRATEGIES."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError
from ...options import Options, flag
from ..prior import AGREEMENT, NONE
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
    """Every strategy with what it does, for --help."""
    return "; ".join(f"{name!r} {kind.about}" for name, kind in STRATEGIES.items())


def option_classes() -> list[type[Options]]:
    """The classes of options of all strategies, and of the wrapper around any."""
    found = [*(kind.option_class for kind in STRATEGIES.values()), EasyFirstOptions]
    return [kind for kind in dict.fromkeys(found) if kind is not Options]


def strategy_class(name: str) -> type[Strategy]:
    """The class of a strategy by name.

    Raises:
        ConfigError: there is no such strategy
    """
    if name not in STRATEGIES:
        known = ", ".join(repr(key) for key in STRATEGIES)
        raise ConfigError(f"{flag('strategy')} is {name!r}, expected one of: {known}")
    return STRATEGIES[name]


def begins_easily(config: Any) -> bool:
    """Whether hard pairs wait at the start of a run."""
    return getattr(config, SWITCH) or strategy_class(config.strategy).easy_first


def needs_of(config: CommonOptions) -> Needs:
    """What the strategy that ``config`` names needs of the run."""
    needs = strategy_class(config.strategy).needs(config)
    return EasyFirst.needs_around(needs, config) if begins_easily(config) else needs


def metric_names(config: CommonOptions) -> tuple[str, ...]:
    """What its `Strategy.metrics` gives; logged as ``aa_<name>``."""
    names = strategy_class(config.strategy).metric_names
    return (*names, METRIC) if begins_easily(config) else names


def build_strategy(config: Any, corpus: Corpus) -> Strategy:
    """The strategy that ``config`` names, for ``corpus``."""
    strategy = strategy_class(config.strategy)(config, corpus)
    return EasyFirst(strategy, config, corpus) if begins_easily(config) else strategy


def readers_of(name: str) -> tuple[str, ...]:
    """The strategies that alone read an option; empty: it belongs to none."""
    return tuple(key for key, kind in STRATEGIES.items() if name in _names_of(kind.option_class))


def refuse_unread(config: CommonOptions) -> None:
    """Refuse options that are not at their default and that the chosen strategy does not read.

    Raises:
        ConfigError: names each of them, its value, and what would read it
    """
    strategy_class(config.strategy)  # there is one
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    changed = {
        name: value
        for name, default in defaults.items()
        if (value := getattr(config, name)) != default
    }
    unread = []
    for name in changed:
        readers = readers_of(name)
        if readers and config.strategy not in readers:
            unread.append((name, "read by " + _named(*readers)))
        elif name in _names_of(EasyFirstOptions) and name != SWITCH and not begins_easily(config):
            always = [key for key, each in STRATEGIES.items() if each.easy_first]
            unread.append((name, f"read with {flag(SWITCH)}, or by {_named(*always)}"))
    unread += _prior_unread(config, changed)
    if unread:
        found = " and ".join(f"{flag(name)} {changed[name]} ({by})" for name, by in unread)
        raise ConfigError(
            f"{flag('strategy')} {config.strategy} does not read {found}; leave out what is not "
            "read, or choose a strategy that reads it"
        )


def _prior_unread(config: CommonOptions, changed: dict[str, Any]) -> list[tuple[str, str]]:
    """Options of the prior that have no effect; nobody need switch it off where it is ignored."""
    using = [name for name, kind in STRATEGIES.items() if kind.needs(config).prior != "ignored"]
    if config.strategy not in using:
        by = "read by " + _named(*using)
        idle = [name for name in ("prior", "prior_floor") if name in changed]
        return [(name, by) for name in idle if changed[name] not in (NONE, AGREEMENT)]
    if config.prior == NONE and "prior_floor" in changed:
        return [("prior_floor", f"read with a {flag('prior')} other than {NONE}")]
    return []


def _names_of(options: type[Options]) -> set[str]:
    return {field.name for field in dataclasses.fields(options)}


def _named(*names: str) -> str:
    return flag("strategy") + " " + " or ".join(names)


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
    "refuse_unread",
    "strategy_class",
]
