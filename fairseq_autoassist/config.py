"""Every constant of the method: its default, unit and source, checked when it is built.

The command-line flags of the task are made from these fields (``eta`` becomes
``--autoassist-eta``), so a constant is written down once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from .errors import ConfigError

PAPER = "Zhang, Yu, Dhillon 2019"


def _constant(default: Any, help: str, source: str, low: Any = None, high: Any = None) -> Any:
    """A dataclass field with its meaning, source and closed range ``[low, high]``."""
    meta = {"help": help, "source": source, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=meta)


@dataclass(frozen=True)
class AutoAssistConfig:
    """Settings of one run.

    Raises:
        ConfigError: a value is out of its range; the message names the flag, the value found and
            the range expected.
    """

    strategy: str = _constant(
        "autoassist",
        "how pairs are chosen: 'autoassist', or 'uniform' (keeps every pair: plain training "
        "through the same stream)",
        PAPER + ", Algorithm 1",
    )
    eta: float = _constant(
        2.0,
        "learning rate of the Assistant (per report, on unit-norm TF-IDF blocks)",
        PAPER + ", eq. (5); value: ours, see README",
        low=0.0,
    )
    weight_decay: float = _constant(
        1e-5,
        "lambda: share of the Assistant's weights forgotten at each report",
        PAPER + ", eq. (5); value: ours",
        low=0.0,
        high=0.5,
    )
    intercept: bool = _constant(
        False, "give the Assistant an unregularised intercept", "ours; the paper has none"
    )
    threshold_decay: float = _constant(
        0.95,
        "decay per report of the moving average T_k of sentence losses (nats/token)",
        PAPER + ", section 3.2; value: ours",
        low=0.0,
        high=0.999999,
    )
    threshold_from: str = _constant(
        "all",
        "losses that feed T_k: 'all' pairs trained on, or only the 'uniform' slice",
        PAPER + " ('all'); 'uniform' is ours",
    )
    gamma_decay: float = _constant(
        0.99,
        "decay per report of the moving average gamma_k of the Assistant's accuracy",
        PAPER + ", Algorithm 1; value: ours",
        low=0.0,
        high=0.999999,
    )
    gamma_max: float = _constant(
        1.0,
        "cap on gamma_k: at least 1 - gamma_max of the pairs is always kept uniformly",
        "ours; 1 is the paper's rule",
        low=0.0,
        high=1.0,
    )
    guard_pairs: int = _constant(
        2000,
        "uniformly kept pairs after which the Assistant is held against the majority class; "
        "while it is no better nothing is shrunk, and after ten such verdicts in a row it has "
        "failed; 0: never",
        "ours",
        low=0,
    )
    features: str = _constant(
        "",
        "folder of the TF-IDF features (autoassist-tfidf --dest); empty: inside the data-bin",
        "ours",
    )
    inline: bool = _constant(
        False,
        "plan batches in the training process (same batches, no worker process)",
        "ours; for debugging",
    )
    timeout: float = _constant(
        20.0,
        "seconds without an answer after which the Assistant's process is given up as stuck",
        "ours",
        low=0.1,
    )
    on_failure: str = _constant(
        "continue",
        "when the Assistant fails: 'continue' training without shrinking, or 'stop'",
        "ours",
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_range(field, getattr(self, field.name))
        _check_choice("threshold_from", self.threshold_from, ("all", "uniform"))
        _check_choice("on_failure", self.on_failure, ("continue", "stop"))


def flag(name: str) -> str:
    """The command-line flag of a field: ``gamma_max`` -> ``--autoassist-gamma-max``."""
    return "--autoassist-" + name.replace("_", "-")


def _check_range(field: dataclasses.Field, value: Any) -> None:
    low, high = field.metadata["low"], field.metadata["high"]
    if low is None and high is None:
        return
    # written so that NaN fails as well
    inside = (low is None or value >= low) and (high is None or value <= high)
    if not inside:
        expected = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ConfigError(f"{flag(field.name)} is {value}, expected {expected}")


def _check_choice(name: str, value: str, choices: tuple) -> None:
    if value not in choices:
        expected = ", ".join(repr(choice) for choice in choices)
        raise ConfigError(f"{flag(name)} is {value!r}, expected one of: {expected}")
