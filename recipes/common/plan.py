"""Dry run of a recipe: its steps, their state, and whether the disk has room for them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping, Sequence

from preprocess.text import UserError
from recipes.common.steps import Steps


@dataclass(frozen=True)
class Cost:
    """Expected cost of a step."""

    disk: float  # bytes that stay, and peak bytes
    minutes: float

    def __str__(self) -> str:
        minutes = f"{self.minutes:,.0f} min" if self.minutes >= 1 else "under 1 min"
        return f"{self.disk / 1e9:6.2f} GB, {minutes}"


class DryRun(Steps):
    """Steps that are printed and not done; nothing is written.

    Args:
        folder: folder of the stamps
        total: number of steps
        costs: expected cost of each step, by its name
    """

    def __init__(self, folder: Path, total: int, costs: Mapping[str, Cost]) -> None:
        super().__init__(folder, total)
        self.costs = costs
        self.disk = 0.0  # bytes that the remaining steps will need
        self.to_do: list[str] = []  # names of these steps

    def run(
        self,
        name: str,
        settings: Mapping[str, object],
        outputs: Sequence[Path],
        action: Callable[[], None],
    ) -> bool:
        """Print one step with its state and cost; return whether it is not done yet."""
        self._enter(name, settings)
        done = self._holds(name, "done") and all(path.exists() for path in outputs)
        cost = self.costs[name]
        if done:
            state = "done"
        else:
            state = "resumes" if self._holds(name, "begun") else "to do"
            self.disk += cost.disk
            self.to_do.append(name)
        print(f"[{self.count}/{self.total}] {name:<22} {state:<8} {cost}", flush=True)
        return not done


def check_disk(
    folder: Path, needed: float, purpose: str, mend: str = "name another folder with --out"
) -> None:
    """Print the needed and the free space on the disk of `folder`.

    Args:
        folder: folder, which need not exist yet
        needed: bytes
        purpose: purpose of the bytes, for the message
        mend: advice to the user besides freeing space

    Raises:
        UserError: less space is free than is needed
    """
    existing = _existing(folder)
    free = shutil.disk_usage(existing).free
    print(f"disk: {needed / 1e9:.2f} GB needed for {purpose}, {free / 1e9:.2f} GB free", flush=True)
    if needed > free:
        raise UserError(
            f"{existing} has {free / 1e9:.2f} GB free; expected {needed / 1e9:.2f} GB for "
            f"{purpose}: free some space, or {mend}"
        )


def same_disk(one: Path, two: Path) -> bool:
    """Return whether two folders, which need not exist yet, share one disk's free space."""
    return _existing(one).stat().st_dev == _existing(two).stat().st_dev


def _existing(folder: Path) -> Path:
    """The folder, or its nearest existing parent."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
