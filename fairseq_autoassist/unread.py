"""Refusal of options that the chosen strategy does not read, since they have no effect."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from .core.prior import AGREEMENT, NONE
from .core.strategies import (
    STRATEGIES,
    begins_easily,
    needs_of,
    readers_of,
    strategy_class,
)
from .core.strategies.easy_first import SWITCH, EasyFirstOptions
from .errors import ConfigError
from .options import flag

if TYPE_CHECKING:
    from .config import AutoAssistConfig


def refuse_unread(config: AutoAssistConfig) -> None:
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


def _of_others(config: AutoAssistConfig, changed: dict[str, Any]) -> dict[str, str]:
    readers = {name: readers_of(name) for name in changed}
    return {
        name: f"read by {_named(names)}"
        for name, names in readers.items()
        if names and config.strategy not in names
    }


def _of_the_curriculum(config: AutoAssistConfig, changed: dict[str, Any]) -> dict[str, str]:
    if begins_easily(config):
        return {}
    always = [name for name, kind in STRATEGIES.items() if kind.easy_first]
    own = [field.name for field in dataclasses.fields(EasyFirstOptions)]
    by = f"read with {flag(SWITCH)}, or by {_named(always)}"
    return {name: by for name in own if name in changed}


def _of_the_prior(config: AutoAssistConfig, changed: dict[str, Any]) -> dict[str, str]:
    """Options of the prior and of its place; switching it off is accepted where it is ignored."""
    using = [name for name, kind in STRATEGIES.items() if kind.needs(config).prior != "ignored"]
    own = [name for name in ("prior", "prior_floor") if changed.get(name, NONE) != NONE]
    if "features" in changed and not needs_of(config).features:
        own.append("features")  # the prior of autoassist-agreement is in that folder
    if config.strategy not in using:
        return {name: f"read by {_named(using)}" for name in own}
    unread = {}
    if config.prior == NONE and "prior_floor" in changed:
        unread["prior_floor"] = f"read with a {flag('prior')} other than {NONE}"
    if config.prior != AGREEMENT and "features" in own:
        unread["features"] = f"read with {flag('prior')} {AGREEMENT}"
    return unread


def _named(strategies: list[str] | tuple[str, ...]) -> str:
    return f"{flag('strategy')} {' or '.join(strategies)}"
