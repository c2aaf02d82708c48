"""A constant with its meaning, source and range, the flag that sets it, and the checks."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from .errors import ConfigError


def constant(default: Any, help: str, source: str, low: Any = None, high: Any = None) -> Any:
    """A dataclass field with its meaning, source and closed range ``[low, high]``."""
    meta = {"help": help, "source": source, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=meta)


def flag(name: str) -> str:
    """The command-line flag of a field: ``spl_start`` -> ``--autoassist-spl-start``."""
    return "--autoassist-" + name.replace("_", "-")


def check_range(field: dataclasses.Field, value: Any) -> None:
    """Refuse a value outside the range of its field.

    Raises:
        ConfigError: names the flag, what was found and what was expected
    """
    low, high = field.metadata["low"], field.metadata["high"]
    if low is None and high is None:
        return
    # written so that NaN fails as well, and infinity where there is no limit above
    inside = (low is None or value >= low) and (value < math.inf if high is None else value <= high)
    if not inside:
        expected = f"at least {low}, finite" if high is None else f"between {low} and {high}"
        raise ConfigError(f"{flag(field.name)} is {value}, expected {expected}")


def check_choice(name: str, value: str, choices: tuple) -> None:
    """Refuse a value that is none of the choices of its field.

    Raises:
        ConfigError: as `check_range`
    """
    if value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ConfigError(f"{flag(name)} is {value!r}, expected one of: {expected}")
