"""Settings of a run: the options that all strategies share, and those of each strategy.

The flags of the task are made from the fields: ``eta`` becomes ``--autoassist-eta``. A strategy's
file declares its own options.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from .core.strategies import described, option_classes
from .errors import ConfigError
from .options import Options, flag, option
from .unread import refuse_unread

__all__ = ["AutoAssistConfig", "CommonOptions", "compose", "flag"]


@dataclass(frozen=True)
class CommonOptions(Options):
    """Options that do not belong to one strategy."""

    strategy: str = option(
        "autoassist",
        "how pairs are chosen: " + described(),
        "Zhang, Yu, Dhillon 2019, Algorithm 1",
    )
    prior: str = option(
        "agreement",
        "the prior, a factor of P(keep): 'agreement', as autoassist-agreement wrote it, if it has "
        "run; 'none'; or a file of your own scores in [0, 1], one number per pair: .npy, or text "
        "with one number per line (for several data-bins one file each, joined by ':'). 'uniform' "
        "and 'random' have no prior",
        "ours; the paper has none",
    )
    prior_floor: float = option(
        0.001,
        "least prior of a pair; more than 0, so that every pair can be kept",
        "ours",
        low=0.0,
        high=1.0,
    )
    trace: str = option(
        "",
        "folder in which each rank records the pairs that it trained on, 8 bytes per pair and "
        "pass; empty: no record",
        "ours",
    )
    features: str = option(
        "",
        "folder of the features (autoassist-tfidf --dest); empty: inside the data-bin. 'uniform' "
        "and 'random' have none",
        "ours",
    )
    inline: bool = option(
        False,
        "plan batches in the training process (same batches, no worker process)",
        "ours; for debugging",
    )
    timeout: float = option(
        20.0,
        "seconds without an answer after which the Assistant's process counts as failed",
        "ours",
        low=0.1,
    )
    on_failure: str = option(
        "continue",
        "when the Assistant fails: 'continue' training without skipping, or 'stop'",
        "ours",
        choices=("continue", "stop"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior_floor == 0.0:
            raise ConfigError(f"{flag('prior_floor')} is 0.0, expected more than 0, at most 1")
        if not self.prior:
            raise ConfigError(
                f"{flag('prior')} is empty, expected 'agreement', 'none' or a file of scores"
            )


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
