"""Options that do not belong to one strategy."""

from __future__ import annotations

from dataclasses import dataclass

from .core.strategies import described
from .errors import ConfigError
from .options import Options, flag, option


@dataclass(frozen=True)
class CommonOptions(Options):
    """Options that do not belong to one strategy."""

    strategy: str = option(
        "autoassist",
        "how items are chosen: " + described(),
        "Zhang, Yu, Dhillon 2019, Algorithm 1",
    )
    prior: str = option(
        "agreement",
        "the prior, a factor of P(keep): 'agreement', as autoassist-agreement wrote it, if it has "
        "run; 'none'; or a file of your own scores in [0, 1], one number per item: .npy, or text "
        "with one number per line (for several data-bins one file each, joined by ':')",
        "ours; the paper has none",
    )
    prior_floor: float = option(
        0.001,
        "least prior of an item, so that every item can be kept",
        "ours",
        low=1e-6,
        high=1.0,
    )
    trace: str = option(
        "",
        "folder in which each rank records the items that it trained on, 8 bytes per item and "
        "pass; empty: no record",
        "ours",
    )
    features: str = option(
        "",
        "folder of the features (autoassist-tfidf --dest); empty: inside the data-bin",
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
        if not self.prior:
            raise ConfigError(
                f"{flag('prior')} is empty, expected 'agreement', 'none' or a file of scores"
            )
