"""Which strategies read an option, and refusal of options that the chosen strategy does not read.

An option that is not read has no effect.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from .common import CommonOptions
from .core.prior import AGREEMENT, NONE
from .core.strategies import STRATEGIES, begins_easily, needs_of, readers_of, strategy_class
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
    own = readers_of(name)
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
    unread = {**_of_others(config, changed), **_of_the_curriculum(config, changed)}
    unread.update(_of_the_prior(config, changed))
    if unread:
        found = " and ".join(f"{flag(name)} {changed[name]} ({by})" for name, by in unread.items())
        raise ConfigError(
            f"{flag('strategy')} {config.strategy} does not read {found}; leave out what is not "
            "read, or choose a strategy that reads it"
        )


def _of_others(config: CommonOptions, changed: dict[str, Any]) -> dict[str, str]:
    """Find options of other strategies."""
    return {
        name: f"read by {_named(readers(name, config))}"
        for name in changed
        if readers_of(name) and not _reads(config.strategy, name, config)
    }


def _of_the_curriculum(config: CommonOptions, changed: dict[str, Any]) -> dict[str, str]:
    """Find options of the curriculum where no item waits."""
    if begins_easily(config):
        return {}
    by = f"read with {flag(SWITCH)}, or by {_named(readers(SWITCH, config))}"
    return {name: by for name in _CURRICULUM if name in changed}


def _of_the_prior(config: CommonOptions, changed: dict[str, Any]) -> dict[str, str]:
    """Find options of the prior and of its folder; one may switch it off where it is ignored."""
    own = [name for name in ("prior", "prior_floor") if changed.get(name, NONE) != NONE]
    if "features" in changed and not needs_of(config).features:
        own.append("features")
    if not _reads(config.strategy, "prior", config):
        return {name: f"read by {_named(readers(name, config))}" for name in own}
    unread = {}
    if config.prior == NONE and "prior_floor" in changed:
        unread["prior_floor"] = f"read with a {flag('prior')} other than {NONE}"
    if config.prior != AGREEMENT and "features" in own:
        unread["features"] = f"read with {flag('prior')} {AGREEMENT}"
    return unread


def _named(strategies: list[str]) -> str:
    return f"{flag('strategy')} {' or '.join(strategies)}"
