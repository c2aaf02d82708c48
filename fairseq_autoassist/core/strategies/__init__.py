"""Ways to choose pairs. To add one: a file here, and a line in STRATEGIES."""

from __future__ import annotations

import dataclasses

from ...config import AutoAssistConfig, flag
from ...errors import ConfigError
from ..prior import AGREEMENT, NONE
from .autoassist import AutoAssist
from .base import Corpus, Moment, Report, Strategy
from .competence import Competence
from .infobatch import InfoBatch
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


def without_effect(config: AutoAssistConfig) -> list[str]:
    """Flags, with their values, that only another strategy would read, or this with a switch on."""
    kind = strategy_class(config.strategy)
    read = kind.reads(config)
    others = {name for kind in STRATEGIES.values() for name in kind.settings if name not in read}
    found = []
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), field.name
        if name in others and value != field.default:
            # its own, but switched off: the switch is what their names begin with
            off = f" without {flag(name.split('_')[0])}" if name in kind.settings else ""
            found.append(f"{flag(name)} {value}{off}")
    return found + _prior_without_effect(config, kind)


def _prior_without_effect(config: AutoAssistConfig, kind: type[Strategy]) -> list[str]:
    """Those of the prior, where it is not multiplied by. Nobody need switch it off there."""
    found = []
    if not kind.uses_prior and config.prior not in (AGREEMENT, NONE):
        found.append(f"{flag('prior')} {config.prior}")
    default = AutoAssistConfig.__dataclass_fields__["prior_floor"].default
    if config.prior_floor != default and (not kind.uses_prior or config.prior == NONE):
        off = f" without {flag('prior')}" if kind.uses_prior else ""
        found.append(f"{flag('prior_floor')} {config.prior_floor}{off}")
    return found


def build_strategy(config: AutoAssistConfig, corpus: Corpus) -> Strategy:
    """The strategy that ``config`` names, for ``corpus``."""
    return strategy_class(config.strategy)(config, corpus)


__all__ = [
    "STRATEGIES",
    "Corpus",
    "Moment",
    "Report",
    "Strategy",
    "build_strategy",
    "strategy_class",
    "without_effect",
]
