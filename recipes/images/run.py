"""Run a matrix of the image experiments; `make images` runs the smallest one.

    python -m recipes.images.run quick [--out FOLDER] [--jobs 2]
    python -m recipes.images.run gpu --jobs 4 --budget-minutes 10

The folder gets records.jsonl, report.md and figures. Each record is written when its run ends. A
run that has a record is not repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Sequence

import torch

from preprocess.text import UserError
from recipes.common.data import ROOT
from recipes.common.steps import stoppable
from recipes.images import report, sets
from recipes.images.matrices import MATRICES, matrix
from recipes.images.records import NAME, append, load
from recipes.images.side_by_side import Place, SideBySide
from recipes.images.spec import Run

# most processes of a run; each takes 2 batches ahead, so with `train.AHEAD` less than the lag, 32
READERS = 12


def place_of(options: argparse.Namespace) -> Place:
    """Place of the runs of this call; it uses a GPU if there is one."""
    cores = len(os.sched_getaffinity(0))
    gpu = torch.cuda.is_available() and not options.cpu
    budget = options.budget_minutes
    return Place(
        session=f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}",
        cache=options.cache,
        device="cuda" if gpu else "cpu",
        threads=max(1, cores // options.jobs),
        workers=min(READERS, max(1, cores // options.jobs)) if gpu else 0,
        jobs=options.jobs,
        deadline=None if budget is None else time.time() + 60.0 * budget,
        photos=options.photos,
    )


def changed(runs: Sequence[Run], options: argparse.Namespace) -> list[Run]:
    """Runs of a matrix with the budget, width and side that the call gives."""
    others = {name: getattr(options, name) for name in ("budget", "width", "side")}
    said = {name: value for name, value in others.items() if value is not None}
    return [replace(run, **said) for run in runs]


def to_do(runs: Sequence[Run], place: Place, path: Path) -> list[Run]:
    """Runs that have no record with the same settings and, for photos, of the same folder."""
    kept = {record.run.id: record for record in load(path)}

    def is_done(run: Run) -> bool:
        record = kept.get(run.id)
        if record is None or record.settings != run.settings:
            return False
        same = record.place.get("photos") == place.facts.get("photos")
        return same or sets.parts(run.data)[0] != "photos"

    return [run for run in runs if not is_done(run)]


def prepare(runs: Sequence[Run], place: Place) -> None:
    """Download and unpack the data of the runs before they begin side by side.

    Raises:
        UserError: data are damaged or not to be had, or a set is smaller than a batch
    """
    for name in dict.fromkeys(run.data for run in runs):
        data = sets.load(name, place.cache, place.photos, runs[0].side, 0)
        batch, count = max(run.batch for run in runs if run.data == name), len(data.labels)
        if count < batch:
            raise UserError(
                f"{name} has {count} training images; expected a batch, {batch}, or more: "
                f"name a larger folder with --photos"
            )
        if sets.parts(name)[0] == "photos":
            data.features()  # fills the cache for the runs


def images(options: argparse.Namespace) -> int:
    """Prepare, run, report; return the exit status."""
    runs = changed(matrix(options.matrix), options)
    path = options.out / NAME
    place = place_of(options)
    left = to_do(runs, place, path)
    reused = len(runs) - len(left)
    print(f"{len(runs)} runs on {place.device}, {reused} of them reused", flush=True)
    if left:
        prepare(left, place)
    queue = SideBySide(place)
    with contextlib.closing(queue.make(left)) as records:  # an interrupt ends the other runs
        for number, record in enumerate(records, 1):
            append(path, record)
            error, seconds = 100 * record.ends["test_error"], record.ends["seconds"]
            told = f"test error {error:.2f}%, {seconds:.0f} s of training"
            print(f"[{number}/{len(left)}] {record.run.id}: {told}", flush=True)
    if path.is_file():
        print("\n" + report.write(options.out), flush=True)
    for run in queue.failed:
        print(f"failed, its error is above: {run.id}", file=sys.stderr)
    if queue.left:
        print(f"{len(queue.left)} runs are left; the same command continues with them", flush=True)
    return 1 if queue.failed else 0


def main(arguments: list[str] | None = None) -> None:
    """Run the matrix that the command line names; exit with its status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("matrix", choices=list(MATRICES), help="see matrices.py")
    parser.add_argument("--out", type=Path, help="default: runs/images/MATRIX")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "images" / "data")
    parser.add_argument("--photos", type=Path, help="folder with train/<class>/*.JPEG and val/")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--budget-minutes", type=float, help="begin no run that would end later")
    parser.add_argument("--budget", type=int, help="samples of every run, in place of the matrix's")
    parser.add_argument("--width", type=int, help="channels of the first stage, likewise")
    parser.add_argument("--side", type=int, help="side in pixels of a cut photo, likewise")
    parser.add_argument("--cpu", action="store_true", help="use no GPU, even if there is one")
    words = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(words)
    options.out = options.out or ROOT / "runs" / "images" / options.matrix
    if options.jobs < 1:
        raise UserError(f"--jobs is {options.jobs}; expected 1 or more")
    if options.budget_minutes is not None and options.budget_minutes <= 0:
        raise UserError(f"--budget-minutes is {options.budget_minutes}; expected more than 0")
    with stoppable(f"python -m recipes.images.run {shlex.join(words)}"):
        status = images(options)
    sys.exit(status)


if __name__ == "__main__":
    main()
