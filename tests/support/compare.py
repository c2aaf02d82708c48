"""Tiny corpus of real pairs for `recipes.compare`, and its runner as a process."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from preprocess.clean import Limits
from recipes.compare.prepare import build
from recipes.compare.splits import Pair, Splits, finish
from tests.support.corpus import ROOT, multi30k_pairs, session_folder

TRAIN, MEASURED = 600, 30  # pairs
TIMEOUT = 400.0  # seconds for two runs of seconds each, on a machine that is busy


def _pairs(split: str, count: int, start: int = 0) -> list[Pair]:
    return [Pair(*sides) for sides in multi30k_pairs(split, count, start)]


def _splits() -> Splits:
    valid, test = _pairs("val", MEASURED), _pairs("val", MEASURED, MEASURED)
    return finish(Splits(_pairs("train", TRAIN), valid, test), Limits(), MEASURED)


@functools.lru_cache(maxsize=None)
def corpora() -> Path:
    """Folder with a few hundred pairs of `multi30k`, made once a session; do not change it."""
    folder = session_folder() / "corpora"
    prepare(folder / "multi30k")
    return folder


def prepare(out: Path) -> None:
    """Make the tiny corpus, or its missing parts."""
    build(out, {}, 500, _splits)


def command(out: Path, *words: object) -> list[str]:
    """Command of the runner on the tiny corpus, on the CPU."""
    places = ["--out", str(out), "--corpora", str(corpora()), "--cpu"]
    return [sys.executable, "-m", "recipes.compare.run", *map(str, words), *places]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "AUTOASSIST_COMMIT": "of the test"}


def run(out: Path, *words: object) -> subprocess.CompletedProcess:
    """Run the runner to its end."""
    with start(out, *words) as process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def start(out: Path, *words: object) -> subprocess.Popen:
    """Start the runner; the caller has to end it."""
    return subprocess.Popen(
        command(out, *words),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def record(out: Path, name: str) -> dict:
    """Record of a run."""
    return json.loads((out / "runs" / name / "record.json").read_text(encoding="utf-8"))
