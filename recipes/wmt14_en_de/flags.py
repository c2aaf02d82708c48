"""Read flags of fairseq-train as fairseq does: the last of a repeated flag counts."""

from __future__ import annotations

import argparse
import re
from typing import Sequence

from preprocess.text import UserError

COUNTED = ("--max-tokens", "--update-freq", "--max-update")
# Flags that would change the size or number of updates, and what to give in their place
INSTEAD = {
    "--batch-size": "give --max-tokens, by which batches are made and counted",
    "--max-sentences": "give --max-tokens, by which batches are made and counted",
    "--max-epoch": "give --max-update, on which the learning rate and the checkpoints depend",
    "--distributed-world-size": "give --gpus, before the --",
}


def own(flags: Sequence[str]) -> dict[str, int]:
    """Return the values of the flags of `COUNTED` that the user gives.

    Raises:
        UserError: a value is no number of 1 or more, or a flag of `INSTEAD` is given
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in (*COUNTED, *INSTEAD):
        parser.add_argument(name, dest=name, nargs="?", const="")
    given = vars(parser.parse_known_args(flags)[0])
    for name, mend in INSTEAD.items():
        if given[name] is not None:
            raise UserError(
                f"found {name} {given[name]} after --; expected none, so that the target tokens "
                f"of the run are known: {mend}"
            )
    found = {name: given[name] for name in COUNTED if given[name] is not None}
    for name, text in found.items():
        if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
            raise UserError(f"{name} is {text}; expected a number of 1 or more: change it")
    return {name: int(text) for name, text in found.items()}


def changes(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """Return the differences of flags: `--flag old -> new` for each."""
    old, new = _values(before), _values(now)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f"{name} {_told(old.get(name))} -> {_told(new.get(name))}" for name in names]


def _values(flags: Sequence[str]) -> dict[str, str]:
    """Values of each flag in one text; empty for a switch."""
    found: dict[str, list[str]] = {}
    values: list[str] = []
    for word in flags:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            values = found[name] = [value] if equals else []
        else:
            values.append(word)
    return {name: " ".join(values) for name, values in found.items()}


def _told(value: str | None) -> str:
    return "not given" if value is None else value or "given"
