"""Which strategies read an option, and refusal of options that the chosen strategy does not read.

An option that is not read has no effect.
"""

from __future__ import annotations

import dataclasses

from .common import CommonOptions
from .core.prior import AGREEMENT, NONE
from .core.strategies import STRATEGIES, begins_easily, declared_by, needs_of, strategy_class
from .core.strategies.easy_first import SWITCH, EasyFirstOptions
from .errors import ConfigError
from .options import flag

_CURRICULUM = [field.name for field in dataclasses.fields(EasyFirstOptions)]


def readers(name: str, config: CommonOptions) -> list[str]:
    """Names of the strategies that read an option.

    Args:
        name: name of the option
        config: the other options, such as the curriculum; its strategy does not matter
    """
    return [strategy for strategy in STRATEGIES if _reads(strategy, name, config)]


def _reads(strategy: str, name: str, config: CommonOptions) -> bool:
    if name in _CURRICULUM:
        return begins_easily(config, strategy)
    needs = needs_of(config, strategy)
    if name in ("prior", "prior_floor"):
        return needs.prior != "ignored"
    if name == "features":  # the prior of autoassist-agreement is in that folder
        return needs.features or needs.prior != "ignored"
    own = declared_by(name)
    return not own or strategy in own


def refuse_unread(config: CommonOptions) -> None:
    """Refuse options that are not at their default and that the chosen strategy does not read.

    Raises:
        ConfigError: the message names each of them, its value, and what reads it
    """
    strategy_class(config.strategy)  # refuses a wrong name
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    changed = {name: value for name, value in values.items() if value != defaults[name]}
    if changed.get("prior") == NONE:  # it may be switched off where it is ignored
        del changed["prior"]
    unread = {
        name: _by(name, config) for name in changed if not _reads(config.strategy, name, config)
    }
    if "prior_floor" in changed and config.prior == NONE:
        unread.setdefault("prior_floor", f"read with a {flag('prior')} other than {NONE}")
    if "features" in changed and config.prior != AGREEMENT and not needs_of(config).features:
        unread.setdefault("features", f"read with {flag('prior')} {AGREEMENT}")
    if unread:
        found = " and ".join(f"{flag(name)} {changed[name]} ({by})" for name, by in unread.items())
        raise ConfigError(
            f"{flag('strategy')} {config.strategy} does not read {found}; leave out what is not "
            "read, or choose a strategy that reads it"
        )


def _by(name: str, config: CommonOptions) -> str:
    named = f"{flag('strategy')} {' or '.join(readers(name, config))}"
    return f"read with {flag(SWITCH)}, or by {named}" if name in _CURRICULUM else f"read by {named}"
