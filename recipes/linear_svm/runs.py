"""Runs of all solvers side by side; a finished run with the same settings is reused."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Sequence

from tqdm import tqdm

from preprocess.text import whole_files
from recipes.linear_svm.problem import Problem
from recipes.linear_svm.solvers import DECAY, GROWTH, SOLVERS, run, warm_up

DRAWS = 1_000_000  # of a run
LIMIT = 3.0  # CPU seconds of a run
EXACT_LIMIT = 4.0  # CPU seconds of a run in which every step reads the whole data

Found = Sequence["tuple[Problem, float]"]  # problems, each with F(w*)


class Task(NamedTuple):
    """A run: its problem, solver and seed."""

    data: str
    solver: str
    seed: int
    draws: int

    def settings(self, problem: Problem) -> dict[str, Any]:
        """Settings that a kept run must have to be reused."""
        limits = [LIMIT, EXACT_LIMIT]
        return {"lam": problem.lam, "draws": self.draws, "marks": GROWTH, "T": DECAY, "s": limits}


_problems: dict[str, tuple[Problem, float]] = {}  # problems of this worker process
_warm: set[str] = set()  # solvers that this worker process has compiled


def _begin(found: Found) -> None:
    _problems.clear()
    _problems.update({problem.name: (problem, best) for problem, best in found})


def _do(task: Task) -> dict[str, Any]:
    problem, best = _problems[task.data]
    if task.solver not in _warm:
        warm_up(problem, [task.solver])
        _warm.add(task.solver)
    limit = EXACT_LIMIT if SOLVERS[task.solver].whole_pass else LIMIT
    return {"data": task.data, **run(problem, best, task.solver, task.seed, task.draws, limit)}


def _path(folder: Path, task: Task) -> Path:
    name = "".join(c if c.isalnum() else "-" for c in task.data)
    return folder / f"{name}.{task.solver}.{task.seed}.json"


def _kept(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    return kept["curve"] if kept["settings"] == settings else None


def measure(
    found: Found, seeds: int, jobs: int, folder: Path, draws: int = DRAWS
) -> list[dict[str, Any]]:
    """Run every solver on every problem with every seed; return the curves.

    Args:
        found: problems, each with F(w*)
        seeds: number of seeds
        jobs: number of runs side by side
        folder: folder that keeps each run for the next call
        draws: number of draws of a run
    """
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        Task(problem.name, solver, seed, draws)
        for seed in range(1, seeds + 1)
        for problem, _ in found
        for solver in SOLVERS
    ]
    settings = {problem.name: problem for problem, _ in found}
    curves: dict[Task, dict[str, Any]] = {}
    for task in tasks:
        kept = _kept(_path(folder, task), task.settings(settings[task.data]))
        if kept is not None:
            curves[task] = kept
    left = [task for task in tasks if task not in curves]
    # forked workers share the data and copy nothing
    with ProcessPoolExecutor(jobs, get_context("fork"), _begin, (found,)) as pool:
        for task, curve in zip(left, tqdm(pool.map(_do, left), desc="runs", total=len(left))):
            with whole_files(_path(folder, task)) as (stream,):
                used = task.settings(settings[task.data])
                stream.write(json.dumps({"settings": used, "curve": curve}))
            curves[task] = curve
    return [curves[task] for task in tasks]
