"""Median timing, and results as they stand in bench.json."""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any, Callable

#: name, value, unit, target, met; target and met are None where a figure is for information
Result = dict

REPEATS = 5

#: Clock of what one core needs, in seconds: CPU time of this process, the wall time of an idle
#: machine. Who else uses the machine still shows (caches), but waiting for a turn does not.
core_clock = time.process_time


def one_thread() -> None:
    """Make numpy and torch use one core, here and in child processes: call before importing them.

    One core is what the targets are stated for. Threads that are idle sleep instead of spinning,
    so that processes measured beside each other do not take each other's cores.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["OMP_WAIT_POLICY"] = "passive"


def median_seconds(calls: list[Callable[[], object]], clock: Callable[[], float]) -> list[float]:
    """Median times in seconds of REPEATS calls of each, by ``clock``, after one to warm the caches.

    In turns, because a machine that slows down then slows all of them down.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(REPEATS + 1):
        for call, mine in zip(calls, times):
            began = clock()
            call()
            mine.append(clock() - began)
    return [statistics.median(mine[1:]) for mine in times]


def at_least(name: str, value: float, unit: str, target: float) -> Result:
    """A figure that is good when it is large."""
    return _result(name, value, unit, target, bool(value >= target))


def at_most(name: str, value: float, unit: str, target: float) -> Result:
    """A figure that is good when it is small; the name says so."""
    return _result(f"{name} (at most)", value, unit, target, bool(value <= target))


def informative(name: str, value: float, unit: str) -> Result:
    """A figure without a target, which explains another one."""
    return _result(name, value, unit, None, None)


def _result(name: str, value: float, unit: str, target: float | None, met: bool | None) -> Result:
    digits = 4 if abs(value) < 100 else 0
    return {
        "name": name,
        "value": round(float(value), digits),
        "unit": unit,
        "target": target,
        "met": met,
    }


def line(result: Result) -> str:
    """A row of the table."""
    met: dict[Any, str] = {True: "met", False: "MISSED", None: ""}
    target = "" if result["target"] is None else f"{result['target']:,}"
    return (
        f"{result['name']:<72} {result['value']:>14,} {result['unit']:<8} "
        f"{target:>10} {met[result['met']]}"
    ).rstrip()


def save(results: list[Result], path: Path) -> None:
    """Write results as a list of {name, value, unit, target, met}, whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
