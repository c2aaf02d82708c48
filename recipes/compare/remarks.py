"""Remarks on a section's figures: missing runs, mixed conditions, unequal tokens."""

from __future__ import annotations

import numpy as np

from recipes.compare.records import Record
from recipes.compare.sections import Cell, Section
from recipes.compare.statistics import commonest, comparable, mean_curve

EVEN = 0.005  # largest relative difference of "equal tokens"
LENGTH = (
    "--warmup-updates",
    "--total-num-update",
    "--max-update",
)  # flags that depend on a run's budget


def remarks(section: Section) -> list[str]:
    """Return the remarks of a section, one sentence each."""
    base = section.baseline
    found = _provenance(section) + _common_flags(section)
    if base is None:
        found.append("no run of uniform 1.00: no ratios, no differences to it, no acceptance")
    single = [cell.name for cell in section.cells if len(cell.records) == 1]
    if single:
        found.append(f"1 seed, so no interval and no verdict: {', '.join(single)}")
    for cell in section.cells:
        if base is not None and cell is not base:
            found += _seeds(cell, base) + _times(cell, base)
        control = section.control(cell)
        if control is not None:
            if control.budget != cell.budget:
                found.append(f"random to {cell.name} is {control.name}: it has as many tokens")
            found += _seeds(cell, control) + _tokens(cell, control)
        found += _marks(cell) + _flags(cell)
    alone = [
        c.name
        for c in section.cells
        if c is not base and not c.is_control and not section.control(c)
    ]
    if alone:
        found.append(f"no run of random at the same budget or tokens: {', '.join(alone)}")
    return found


def _provenance(section: Section) -> list[str]:
    commits = sorted({r.commit for r in section.records})
    found = [f"records of {len(commits)} commits: {', '.join(commits)}"] if len(commits) > 1 else []
    unclean = [commit for commit in commits if "dirty" in commit]
    if unclean:
        found.append(f"made with uncommitted changes: {', '.join(unclean)}")
    for name in sorted({name for r in section.records for name in r.versions}):
        versions = sorted({r.versions.get(name, "none") for r in section.records})
        if len(versions) > 1:
            found.append(f"several versions of {name}: {', '.join(versions)}")
    conditions = sorted({r.condition for r in section.records})
    if len(conditions) > 1:
        found.append(
            f"run under {len(conditions)} conditions, times are compared within one only: "
            + "; ".join(map(str, conditions))
        )
        found.append(f"pictures against time show only the runs on {commonest(section)}")
    return found


def _seeds(cell: Cell, other: Cell) -> list[str]:
    common = sorted(set(cell.seeds) & set(other.seeds))
    if common == cell.seeds == other.seeds:
        return []
    return [
        f"{cell.name} has seeds {_list(cell.seeds)}, {other.name} has {_list(other.seeds)}: "
        f"their difference is over {_list(common) or 'none'}"
    ]


def _list(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds))


def _times(cell: Cell, base: Cell) -> list[str]:
    alike, all_runs = len(comparable(cell, base)), len(cell.records)
    if alike == all_runs:
        return []
    if not alike:
        return [f"no time ratio of {cell.name}: no run of {base.name} under its conditions"]
    return [f"time ratios of {cell.name} are over {alike} of its {all_runs} runs"]


def _tokens(cell: Cell, control: Cell) -> list[str]:
    mine, its = (np.mean([r.train["tokens"] for r in c.records]) for c in (cell, control))
    apart = float(mine / its - 1)
    if abs(apart) <= EVEN:
        return []
    return [f"not at equal tokens: {cell.name} trained on {apart:+.1%} of {control.name}'s"]


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


def _marks(cell: Cell) -> list[str]:
    shared = len(mean_curve([r.marks for r in cell.records], ["BLEU"])["update"])
    most = max(len(r.marks) for r in cell.records)
    if shared == most:
        return []
    return [f"{cell.name}: its seeds share {shared} of {most} marks; curves are over these"]
