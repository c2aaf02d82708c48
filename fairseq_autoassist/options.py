"""Options: default, meaning, source and range of each, its flag, and checks."""

from __future__ import annotations

import dataclasses
import math
import numbers
from dataclasses import dataclass
from typing import Any

from .errors import ConfigError


def option(
    default: Any,
    help: str,
    source: str,
    low: Any = None,
    high: Any = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare an option as a dataclass field, with its meaning, source and range.

    Args:
        default: value where the flag is not given
        help: meaning and unit
        source: paper and section, or "ours"
        low, high: closed range; None: no limit on that side
        choices: the only values; empty: any
    """
    meta = {"help": help, "source": source, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=meta)


def flag(name: str) -> str:
    """Command-line flag of an option: ``spl_start`` -> ``--autoassist-spl-start``."""
    return "--autoassist-" + name.replace("_", "-")


@dataclass(frozen=True)
class Options:
    """Base of a group of options, which checks each value when it is built.

    Raises:
        ConfigError: a value is of another type or out of its range; the message tells the flag, the
            value found and the values expected
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))


def _check(field: dataclasses.Field, value: Any) -> None:
    low, high, choices = (field.metadata[key] for key in ("low", "high", "choices"))
    if choices and value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ConfigError(f"{flag(field.name)} is {value!r}, expected one of: {expected}")
    if low is None and high is None:
        return
    whole = isinstance(field.default, int)
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind):
        raise ConfigError(
            f"{flag(field.name)} is {value!r} of type {type(value).__name__}, expected "
            f"{'a whole number' if whole else 'a number'}, {_range(low, high)}"
        )
    # NaN fails as well, and so does infinity where there is no upper limit
    inside = (low is None or value >= low) and (value < math.inf if high is None else value <= high)
    if not inside:
        raise ConfigError(f"{flag(field.name)} is {value}, expected {_range(low, high)}")


def _range(low: Any, high: Any) -> str:
    return f"at least {low}, finite" if high is None else f"between {low} and {high}"
