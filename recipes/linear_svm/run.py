"""Run the experiments of Figure 1 and Theorem 1 of the paper: `make svm`.

    python -m recipes.linear_svm.run [--out runs/svm] [--seeds 5] [--jobs 2] [--offline]

Writes records.jsonl, report.md, svm.png and theorem.png into the folder. Finished runs are reused.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from preprocess.text import UserError, whole_files
from recipes.common.data import ROOT
from recipes.common.steps import stoppable
from recipes.linear_svm import report, theorem
from recipes.linear_svm.data import problems
from recipes.linear_svm.problem import Problem, optimum
from recipes.linear_svm.runs import measure

SEEDS = 5


@dataclass(frozen=True)
class Facts:
    """Size of a data set, and figures at its optimum w*."""

    data: str
    rows: int
    columns: int
    per_row: float  # mean number of values that are not zero
    lam: float
    best: float  # F(w*)
    violated: float  # share of rows with a loss at w*
    loss: float  # mean hinge loss at w*
    spread: float  # standard deviation of ||x_i|| over its mean


def facts(problem: Problem) -> Facts:
    """Solve a problem by liblinear, and return its size and the figures at w*."""
    w, best = optimum(problem)
    margins, norms = problem.y * (problem.x @ w), problem.rows[4]
    n, d = problem.x.shape
    # liblinear's margins of 1 are exact only to its tolerance
    violated = float(np.mean(margins < 1.0 - 1e-3))
    loss = float(np.maximum(0.0, 1.0 - margins).mean())
    spread = float(norms.std() / norms.mean())
    density = problem.x.nnz / n
    return Facts(problem.name, n, d, density, problem.lam, best, violated, loss, spread)


def svm(options: argparse.Namespace) -> None:
    """Prepare the data, run all solvers, and write the report."""
    begun = time.monotonic()
    ready = problems(options.out / "data", online=not options.offline)
    described = [facts(problem) for problem in ready]
    print(f"set-up took {time.monotonic() - begun:.0f} s", flush=True)
    begun = time.monotonic()
    found = [(problem, fact.best) for problem, fact in zip(ready, described)]
    curves = measure(found, options.seeds, options.jobs, options.out / "curves")
    theorems = [
        {"theorem": name, "slope": theorem.slope(decay), **decay.as_record()}
        for name, decay in theorem.cases().items()
    ]
    with whole_files(options.out / "records.jsonl") as (stream,):
        for record in [*({"facts": asdict(fact)} for fact in described), *curves, *theorems]:
            stream.write(json.dumps(record) + "\n")
    print(report.write(options.out), flush=True)
    print(f"solvers and report took {(time.monotonic() - begun) / 60:.1f} min", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the experiments; write records, report and figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "svm")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--offline", action="store_true", help="download nothing")
    options = parser.parse_args(arguments)
    for name in ("seeds", "jobs"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} is {getattr(options, name)}; expected 1 or more")
    options.out.mkdir(parents=True, exist_ok=True)
    with stoppable("make svm"):
        svm(options)


if __name__ == "__main__":
    main()
