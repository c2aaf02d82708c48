"""Group records into sections that may be compared.

A *cell* is one arm at one budget: the same run over seeds. A *section* is all cells of one corpus
and architecture with the same full number of updates, so that budgets mean the same in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence

from preprocess.text import UserError
from recipes.compare.records import Record

BASELINE, CONTROL, FULL = "uniform", "random", 1.0
NEAR = 0.01  # largest relative difference in tokens of a cell and its control at another budget


@dataclass(frozen=True)
class Cell:
    """The records of one arm at one budget, in order of seeds."""

    arm: str
    budget: float
    records: list[Record]

    @property
    def name(self) -> str:
        """Arm and budget, such as `band 0.70`."""
        return f"{self.arm} {self.budget:.2f}"

    @property
    def is_control(self) -> bool:
        """Whether it chooses at random."""
        return self.arm == CONTROL

    @property
    def seeds(self) -> list[int]:
        """Seeds of the records, in their order."""
        return [record.seed for record in self.records]

    @property
    def tokens(self) -> float:
        """Target tokens trained on, the mean over seeds."""
        return sum(record.train["tokens"] for record in self.records) / len(self.records)


@dataclass(frozen=True)
class Section:
    """Cells that may be compared with one another, the baseline's first."""

    corpus: str
    architecture: str
    updates: int  # of the full budget
    cells: list[Cell]
    device: str = ""  # only where the same runs were made on several devices

    @property
    def title(self) -> str:
        """Heading in the report: corpus, architecture, updates and, where it is known, device."""
        device = f", {self.device}" if self.device else ""
        return f"{self.corpus}, {self.architecture}, {self.updates:,} updates{device}"

    @property
    def name(self) -> str:
        """The title, shorter, for a column or an axis."""
        device = f" ({self.device})" if self.device else ""
        return f"{self.corpus} {self.architecture} {self.updates:,}{device}"

    def cell(self, arm: str, budget: float) -> Cell | None:
        """Cell of an arm at a budget; None: there is none."""
        found = [c for c in self.cells if c.arm == arm and abs(c.budget - budget) < 1e-6]
        return found[0] if found else None

    @property
    def baseline(self) -> Cell | None:
        """Plain training over the full budget."""
        return self.cell(BASELINE, FULL)

    def control(self, cell: Cell) -> Cell | None:
        """Random choice with as many tokens; None for a cell that is a control itself.

        Candidates are random at the cell's budget, and at other budgets within NEAR of its tokens;
        the nearest in tokens is taken. An arm that prefers short pairs fills its batches better.
        """
        if cell.is_control:
            return None
        apart = {
            c.budget: abs(math.log(c.tokens / cell.tokens)) for c in self.cells if c.is_control
        }
        near = [b for b, far in apart.items() if far <= NEAR or abs(b - cell.budget) < 1e-6]
        return self.cell(CONTROL, min(near, key=apart.__getitem__)) if near else None

    @property
    def records(self) -> list[Record]:
        """Records of all cells."""
        return [record for cell in self.cells for record in cell.records]


def _same_length(records: Sequence[Record]) -> list[tuple[int, list[Record]]]:
    """Split by the full number of updates, within 1, since a budget's updates are rounded."""
    groups: list[tuple[float, list[Record]]] = []
    for record in sorted(records, key=lambda r: -r.budget):
        for full, members in groups:
            if abs(record.updates - record.budget * full) <= 1:
                members.append(record)
                break
        else:
            groups.append((record.updates / record.budget, [record]))
    return [(round(full), members) for full, members in sorted(groups, key=lambda g: g[0])]


def _cells(records: Sequence[Record]) -> list[Cell]:
    groups: dict[tuple[str, float], list[Record]] = {}
    for record in sorted(records, key=lambda r: r.seed):
        groups.setdefault((record.arm, record.budget), []).append(record)
    order = {BASELINE: 0, CONTROL: 1}
    keys = sorted(groups, key=lambda key: (order.get(key[0], 2), key[0], -key[1]))
    return [Cell(arm, budget, groups[arm, budget]) for arm, budget in keys]


def _twice(records: Sequence[Record]) -> tuple[Record, Record] | None:
    """Two records of the same arm, budget and seed, if there are any."""
    seen: dict[tuple[str, float, int], Record] = {}
    for record in records:
        key = (record.arm, record.budget, record.seed)
        if key in seen:
            return seen[key], record
        seen[key] = record
    return None


def sections(records: Sequence[Record]) -> list[Section]:
    """Group records into sections. The same run on two devices makes a section for each device.

    Raises:
        UserError: two records are the same run, or records of a section are not comparable
    """
    found = []
    for corpus, architecture in sorted({(r.corpus, r.architecture) for r in records}):
        members = [r for r in records if (r.corpus, r.architecture) == (corpus, architecture)]
        for updates, group in _same_length(members):
            devices = sorted({r.device for r in group}) if _twice(group) else [""]
            for device in devices:
                part = [r for r in group if device in ("", r.device)]
                found.append(Section(corpus, architecture, updates, _cells(part), device))
                _check(found[-1])
    return found


def _check(section: Section) -> None:
    twice = _twice(section.records)
    if twice:
        a, b = twice
        raise UserError(
            f"two records of {a.run} on {a.device}: {a.source} (commit {a.commit}) and {b.source} "
            f"(commit {b.commit}); expected one: leave one of them out of the command"
        )
    told: dict[str, Record] = {}  # what must be equal -> the first record that has it
    for record in section.records:
        for key, value in record.alike.items():  # early records lack some
            other = told.setdefault(key, record)
            if other.alike[key] != value:
                raise UserError(
                    f"{section.title}: {other.run} ({other.source}) and {record.run} "
                    f"({record.source}) have another {key}; expected the same corpus, decoding "
                    f"and measure: leave one of them out, or make it again"
                )
