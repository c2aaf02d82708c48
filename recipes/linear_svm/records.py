"""Read the records of `run.py`, and compute the cost of reaching a gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, NamedTuple, Sequence

import numpy as np

from preprocess.text import UserError, read_lines
from recipes.linear_svm.solvers import BASELINE, SOLVERS

GAPS = (1e-1, 1e-2, 1e-3)
Curve = Dict[str, Any]  # data, solver, seed; draws, updates, seconds and gap at the marks


class Records(NamedTuple):
    """All lines of records.jsonl by kind."""

    facts: list[dict[str, Any]]  # one for each data set, in the order of the figures
    curves: list[Curve]
    theorems: list[dict[str, Any]]

    def of(self, data: str, solver: str) -> list[Curve]:
        """Curves of a solver on a data set, one for each seed."""
        return [c for c in self.curves if (c["data"], c["solver"]) == (data, solver)]


def load(path: Path) -> Records:
    """Read records.jsonl.

    Raises:
        UserError: the file holds no curve
    """
    found = Records([], [], [])
    for line in read_lines(path):
        record = json.loads(line)
        if "facts" in record:
            found.facts.append(record["facts"])
        elif "theorem" in record:
            found.theorems.append(record)
        else:
            found.curves.append(record)
    if not found.curves:
        raise UserError(f"{path} holds no curves; expected those of `make svm`: run it")
    return found


def reach(curve: Curve, key: str, gap: float) -> float | None:
    """Return `key` at the first mark from which the gap stays at or below `gap`.

    A gap that rises again later does not count.

    Args:
        curve: of one run
        key: "updates" or "seconds"
        gap: (F(w) - F(w*)) / F(w*)

    Returns:
        updates or seconds; None if the run ends above `gap`
    """
    above = np.flatnonzero(np.asarray(curve["gap"]) > gap)
    first = int(above[-1]) + 1 if len(above) else 0
    return None if first == len(curve["gap"]) else float(curve[key][first])


def median_reach(curves: Sequence[Curve], key: str, gap: float) -> float | None:
    """Median of `reach` over seeds; None unless every seed reaches the gap."""
    found = [reach(curve, key, gap) for curve in curves]
    values = [value for value in found if value is not None]
    return float(np.median(values)) if values and len(values) == len(found) else None


def ratio(records: Records, data: str, solver: str, key: str, gap: float) -> float | None:
    """Ratio of a solver's cost of reaching a gap to Pegasos's; None if one does not reach it."""
    ours = median_reach(records.of(data, solver), key, gap)
    base = median_reach(records.of(data, BASELINE), key, gap)
    return None if ours is None or base is None else ours / base


def end(records: Records, data: str, solver: str, key: str) -> float:
    """Median over seeds of `key` at the last mark."""
    return float(np.median([curve[key][-1] for curve in records.of(data, solver)]))


def solvers(records: Records) -> list[str]:
    """Names of the solvers that were run, in the order of the tables."""
    ran = {curve["solver"] for curve in records.curves}
    return [name for name in SOLVERS if name in ran]
