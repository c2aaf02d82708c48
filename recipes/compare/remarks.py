"""Remarks on a section: what its tables do not show, and a reader has to know."""

from __future__ import annotations

from recipes.compare.records import Record
from recipes.compare.sections import Cell, Section

# flags that depend on a run's budget
LENGTH = ("--warmup-updates", "--total-num-update", "--max-update")


def remarks(section: Section) -> list[str]:
    """Return the remarks of a section, one sentence each."""
    base = section.baseline
    found = _common_flags(section)
    if base is None:
        found.append("no run of uniform 1.00: no ratios, no differences to it, no acceptance")
    for cell in section.cells:
        control = section.control(cell)
        found += _seeds(cell, base) + _seeds(cell, control) + _flags(cell)
        if control is not None and control.budget != cell.budget:
            found.append(f"random to {cell.name} is {control.name}: it has as many tokens")
    return found


def _seeds(cell: Cell, other: Cell | None) -> list[str]:
    if other is None or cell.seeds == other.seeds:
        return []
    mine, its = (", ".join(map(str, c.seeds)) for c in (cell, other))
    common = ", ".join(str(seed) for seed in cell.seeds if seed in other.seeds) or "none"
    return [
        f"{cell.name} has seeds {mine}, {other.name} has {its}: their difference is over {common}"
    ]


def _words(record: Record, own: bool) -> tuple[str, ...]:
    """Flags that must be equal: those of the arm if `own`, else all others but seed and length."""
    found, flag = [], ""
    for word in record.flags:
        flag = word if word.startswith("--") else flag
        if flag not in ("--seed", *LENGTH) and flag.startswith("--autoassist-") == own:
            found.append(word)
    return tuple(found)


def _flags(cell: Cell) -> list[str]:
    kinds = sorted({" ".join(_words(r, own=True)) or "none" for r in cell.records})
    several = f"{cell.name} is of runs with different flags: " + "; ".join(kinds)
    return [several] if len(kinds) > 1 else []


def _common_flags(section: Section) -> list[str]:
    """Remark where runs differ in more than the arm.

    Flags that are not the arm's must be equal in all runs, and those of the length in all runs of
    one budget."""
    first = section.records[0]
    lengths: dict[float, Record] = {}
    for record in section.records:
        other = lengths.setdefault(record.budget, record)
        if _words(record, own=False) != _words(first, own=False):
            other = first
        elif _length(record) == _length(other):
            continue
        return [f"{record.run} and {other.run} differ in more than the arm: see their flags"]
    return []


def _length(record: Record) -> list[tuple[str, str]]:
    pairs = zip(record.flags, record.flags[1:])
    return [(flag, value) for flag, value in pairs if flag in LENGTH]
