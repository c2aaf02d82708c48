"""Median times, and results in the form of benchmarks/results/."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any, Callable, List, Mapping

#: name, value, unit, target, met; target and met are None where a figure is for information
Result = dict

#: name -> what measures it
Benchmarks = Mapping[str, Callable[[], List[Result]]]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
REPEATS = 5

#: CPU seconds of this process, which are its wall time on an idle machine. Other processes still
#: slow it through the caches, but waiting for a core does not count.
core_clock = time.process_time


def one_thread() -> None:
    """Make numpy and torch use one core, here and in child processes; call before their import.

    The targets are stated for one core. Idle threads sleep instead of spinning, so that processes
    measured side by side do not take each other's cores.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["OMP_WAIT_POLICY"] = "passive"


def median_seconds(calls: list[Callable[[], object]], clock: Callable[[], float]) -> list[float]:
    """Median seconds of REPEATS calls of each by ``clock``, after one call that warms the caches.

    The calls alternate, so that a slower phase of the machine slows all of them.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(REPEATS + 1):
        for call, mine in zip(calls, times):
            began = clock()
            call()
            mine.append(clock() - began)
    return [statistics.median(mine[1:]) for mine in times]


def at_least(name: str, value: float, unit: str, target: float) -> Result:
    """Figure whose target is a lower bound."""
    return _result(name, value, unit, target, bool(value >= target))


def at_most(name: str, value: float, unit: str, target: float) -> Result:
    """Figure whose target is an upper bound, as its name says."""
    return _result(f"{name} (at most)", value, unit, target, bool(value <= target))


def informative(name: str, value: float, unit: str) -> Result:
    """Figure without a target, for information."""
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
    """Row of the table for a result."""
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


def command_line(module: str, names: str, output: str, description: str | None) -> Any:
    """Make the parser of a command that runs benchmarks.

    Args:
        module: of the command
        names: of its benchmarks, for the help
        output: name of the file of results, in benchmarks/results/ by default
        description: of the command
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=description)
    parser.add_argument("names", nargs="*", help=f"{names}; or all")
    parser.add_argument("--output", type=Path, default=RESULTS / output)
    parser.add_argument("--tiny", action="store_true", help="try out the benchmarks themselves")
    return parser


def chosen(parser: Any, asked: list[str], known: Benchmarks) -> list[str]:
    """Names of the benchmarks to run; an unknown name ends the command."""
    unknown = set(asked) - set(known)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    return asked or list(known)


def measured(known: Benchmarks, names: list[str]) -> list[Result]:
    """Run benchmarks, and print each row as soon as it is there."""
    results: list[Result] = []
    for name in names:
        for result in known[name]():
            results.append(result)
            print(line(result), flush=True)
    return results
