"""Records of runs: lines of records.jsonl, each with the session in which it was made."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Sequence

from preprocess.text import UserError
from recipes.images.arms import ARMS, BASELINE
from recipes.images.spec import Run

NAME = "records.jsonl"
_FIELDS = {field.name for field in fields(Run)}


@dataclass(frozen=True)
class Record:
    """One finished training.

    Attributes:
        run: what was trained
        settings: settings of the run, as `Run.settings` gives them
        session: the call of the runner that made it; times are compared within one session only
        curve: name -> values at the marks
        ends: name -> figure of the whole run
        place: machine, device, runs side by side, threads
    """

    run: Run
    settings: dict[str, Any]
    session: str
    curve: dict[str, list[float]]
    ends: dict[str, Any]
    place: dict[str, Any]

    @classmethod
    def of_line(cls, line: dict[str, Any]) -> Record:
        """Make a record from a line of records.jsonl."""
        settings = line["settings"]
        run = Run(**{key: value for key, value in settings.items() if key in _FIELDS})
        return cls(run, settings, line["session"], line["curve"], line["ends"], line["place"])

    def as_line(self) -> dict[str, Any]:
        """Make a line of records.jsonl, the reverse of `of_line`."""
        names = ("settings", "session", "place", "ends", "curve")
        return {"id": self.run.id, **{name: getattr(self, name) for name in names}}


def append(path: Path, record: Record) -> None:
    """Append a record to the file, and wait until it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(("\n" if torn else "") + json.dumps(record.as_line()) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def load(path: Path) -> list[Record]:
    """Return the newest record of each run; a line that a crash cut off is left out.

    A missing file has no records.
    """
    found: dict[str, Record] = {}
    if path.is_file():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                print(f"{path}: a line was cut off and is left out", flush=True)
                continue
            found[line["id"]] = Record.of_line(line)
    return list(found.values())


@dataclass(frozen=True)
class Panel:
    """Records of one set, model, width and budget."""

    data: str
    model: str
    width: int
    budget: int
    records: tuple[Record, ...]

    def of(self, arm: str, share: float = 1.0) -> list[Record]:
        """Records of an arm at a share of the budget, in the order of seeds."""
        found = [r for r in self.records if (r.run.arm, r.run.share) == (arm, share)]
        return sorted(found, key=lambda record: record.run.seed)

    @property
    def arms(self) -> list[str]:
        """Names of the arms that were run, in the order of the tables."""
        ran = {record.run.arm for record in self.records}
        return [name for name in ARMS if name in ran]

    @property
    def whole(self) -> list[str]:
        """Names of the arms that were run at the full budget."""
        return [name for name in self.arms if self.of(name)]

    def largest(self, arm: str) -> list[Record]:
        """Records of an arm at the largest share of the budget at which it was run."""
        return self.of(arm, max(r.run.share for r in self.records if r.run.arm == arm))

    @property
    def shares(self) -> list[float]:
        """Shares of the budget that were run, the largest first."""
        return sorted({record.run.share for record in self.records}, reverse=True)


def panels(records: Sequence[Record]) -> list[Panel]:
    """Group records by set, model, width and budget, in the order of their first record.

    Raises:
        UserError: there is no record
    """
    if not records:
        raise UserError(
            "found no records; expected those of a matrix: run `python -m recipes.images.run quick`"
        )
    found: dict[tuple[str, str, int, int], list[Record]] = {}
    for record in records:
        run = record.run
        found.setdefault((run.data, run.model, run.width, run.budget), []).append(record)
    return [
        Panel(data, model, width, budget, tuple(group))
        for (data, model, width, budget), group in found.items()
    ]


def baseline_of(panel: Panel, record: Record) -> Record | None:
    """Plain training of the same session, seed and share of the budget, or None."""
    for other in panel.of(BASELINE, record.run.share):
        if (other.session, other.run.seed) == (record.session, record.run.seed):
            return other
    return None
