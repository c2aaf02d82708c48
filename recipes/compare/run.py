"""Run a matrix of the comparison; skip finished runs and resume interrupted ones.

    python -m recipes.compare.run MATRIX|RUN ... --jobs N --out runs/compare [--cpu]

Each run is a process of its own. OUT/runs/ID holds its `output` and, at its end, its record.json.
`recipes.compare.collect` packs finished runs.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from preprocess.text import UserError
from recipes.common.data import ROOT
from recipes.common.steps import environment, stoppable
from recipes.compare.matrices import MATRICES, Run, runs_of
from recipes.compare.one_run import LEASH, finished, settings_key
from recipes.compare.recording import COMMIT, JOBS, commit

POLL = 0.2  # seconds


class Queue:
    """Runs side by side, each in its process, begun in order.

    Args:
        runs: to do, in order
        options: of the command line
    """

    def __init__(self, runs: list[Run], options: argparse.Namespace) -> None:
        self.waiting, self.options = list(runs), options
        self.total, self.begun = len(runs), 0
        self.running: dict[Run, tuple[subprocess.Popen, float]] = {}
        self.failed: list[Run] = []
        told = {LEASH: "1", JOBS: str(options.jobs), COMMIT: commit()}
        if options.jobs > 1:  # threads of one run would slow the others
            told["OMP_NUM_THREADS"] = "1"
        self.environment = {"OMP_WAIT_POLICY": "passive", **environment(), **told}

    def work(self) -> None:
        """Do all runs; end those that have begun if this is interrupted."""
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < self.options.jobs:
                    self._launch(self.waiting.pop(0))
                self._collect()
                time.sleep(POLL)
        finally:
            self._end_all()

    def _launch(self, run: Run) -> None:
        folder = self.options.out / "runs" / run.id
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "recipes.compare.one_run", run.id]
        command += ["--out", str(self.options.out.resolve())]
        command += ["--corpora", str(self.options.corpora.resolve())]
        command += ["--cpu"] if self.options.cpu else []
        with open(folder / "output", "ab") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.PIPE,  # never written to; closed when this process is gone
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.begun += 1
        self.running[run] = (process, time.monotonic())
        print(f"[{self.begun}/{self.total}] begun {run.id}", flush=True)

    def _collect(self) -> None:
        for run, (process, begun) in list(self.running.items()):
            status = process.poll()
            if status is None:
                continue
            del self.running[run]
            assert process.stdin is not None
            process.stdin.close()
            if status == 0 and finished(run, self.options.out, self.options.corpora):
                print(f"ended {run.id} in {time.monotonic() - begun:.0f} s", flush=True)
            else:
                self.failed.append(run)
                path = self.options.out / "runs" / run.id / "output"
                print(f"FAILED {run.id} (status {status}): {last_line(path)} ({path})", flush=True)

    def _end_all(self) -> None:
        processes = [process for process, _ in self.running.values()]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def last_line(path: Path) -> str:
    """The last line of a run's output, in most cases its error."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        lines = [line.strip() for line in stream if line.strip()]
    return lines[-1] if lines else "no output"


def run_matrix(options: argparse.Namespace) -> int:
    """Do the runs; return the exit status."""
    runs = runs_of(options.matrix)
    for run in runs:
        settings_key(run, options.corpora / run.corpus)  # refuses an unprepared corpus at once
    done = [run for run in runs if finished(run, options.out, options.corpora)]
    left = [run for run in runs if run not in done]
    for run in done:  # left by a kill after the record
        shutil.rmtree(options.out / "runs" / run.id / "marks", ignore_errors=True)
    print(
        f"{len(runs)} runs, {len(done)} of them finished, {options.jobs} side by side", flush=True
    )
    queue = Queue(left, options)
    queue.work()
    for run in queue.failed:
        print(f"failed: {run.id}", flush=True)
    return 1 if queue.failed else 0


def main(arguments: list[str] | None = None) -> None:
    """Run the matrix that the command line names; exit with its status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("matrix", nargs="+", help=f"{', '.join(MATRICES)}, or a run's id")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "compare")
    parser.add_argument("--corpora", type=Path, help="default: OUT/corpora")
    parser.add_argument("--cpu", action="store_true", help="use no GPU, though there is one")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        raise UserError(f"--jobs is {options.jobs}; expected 1 or more")
    options.corpora = options.corpora or options.out / "corpora"
    with stoppable("python -m recipes.compare.run " + " ".join(arguments or sys.argv[1:])):
        status = run_matrix(options)
    sys.exit(status)


if __name__ == "__main__":
    main()
