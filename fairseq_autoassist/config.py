"""Settings of a run: the options that all strategies share, and those of each strategy.

The flags of the task are made from the fields: ``eta`` becomes ``--autoassist-eta``. A strategy's
file declares its own options.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

from .common import CommonOptions
from .core.strategies import option_classes
from .options import Options, flag
from .unread import refuse_unread

__all__ = ["AutoAssistConfig", "compose", "flag"]


if TYPE_CHECKING:
    # A strategy reads its options through its own class; no other code reads them.
    class AutoAssistConfig(CommonOptions):
        """Settings of one run: the common options and those of every registered strategy."""

        def __init__(self, strategy: str = "autoassist", **options: Any) -> None: ...


class _Whole(Options):
    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_unread(cast(AutoAssistConfig, self))


def compose() -> type[AutoAssistConfig]:
    """Make the class of settings, with the options of every registered strategy.

    Its instances are instances of each strategy's class of options.

    Raises:
        TypeError: two classes declare an option of the same name
    """
    parts: list[type[Options]] = [CommonOptions, *option_classes()]
    names = [field.name for part in parts for field in dataclasses.fields(part)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TypeError(f"options declared twice: {', '.join(twice)}")
    # dataclasses take fields of the last base first
    bases: tuple[type, ...] = (_Whole, *parts[::-1])
    made: Any = dataclasses.make_dataclass("AutoAssistConfig", (), bases=bases, frozen=True)
    made.__module__ = __name__  # for pickle
    made.__doc__ = (
        "Settings of one run: the common options and those of every registered strategy.\n\n"
        "Raises:\n"
        "    ConfigError: a value is out of its range, or the chosen strategy does not read it"
    )
    return made


if not TYPE_CHECKING:
    AutoAssistConfig = compose()
