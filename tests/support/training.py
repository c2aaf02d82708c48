"""Real fairseq-train runs of tiny models, recorded.

Each run is a process with fairseq's own command-line entry. The process is forked from a server
that has imported fairseq, since the import takes longer than most of these runs.
"""

from __future__ import annotations

import contextlib
import functools
import json
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from tests.support.corpus import ROOT, multi30k_data_bin, session_folder
from tests.support.processes import children
from tests.support.recording import run_in_child
from tests.support.server import has_gpu, server

TIMEOUT = 120.0
USER_DIR = str(ROOT / "fairseq_autoassist")
PLUGIN = [
    *["--user-dir", USER_DIR, "--task", "translation_autoassist"],
    *["--criterion", "autoassist_label_smoothed_cross_entropy", "--label-smoothing", "0.1"],
]
STOCK = [
    *["--task", "translation"],
    *["--criterion", "label_smoothed_cross_entropy", "--label-smoothing", "0.1"],
]
# autoassist.PAPERS_RULE; an import of it would load the plugin in runs without --user-dir
PAPER = "--autoassist-floor 0.0 --autoassist-lower 1.0 --autoassist-upper 0.0".split()
# gamma moves fast, so that a short run shrinks by the paper's rule
SHRINK = [*PAPER, "--autoassist-gamma-decay", "0.5", "--autoassist-guard-pairs", "0"]
TINY = {
    "transformer": [
        *["--arch", "transformer", "--encoder-layers", "1", "--decoder-layers", "1"],
        *["--encoder-embed-dim", "16", "--encoder-ffn-embed-dim", "32"],
        *["--decoder-ffn-embed-dim", "32"],
        *["--encoder-attention-heads", "2", "--decoder-attention-heads", "2", "--dropout", "0.1"],
    ],
    "lstm": [
        *["--arch", "lstm", "--encoder-embed-dim", "16", "--encoder-hidden-size", "16"],
        *["--decoder-embed-dim", "16", "--decoder-hidden-size", "16"],
        *["--decoder-out-embed-dim", "16", "--dropout", "0.1"],
    ],
    "fconv": [
        *["--arch", "fconv", "--encoder-embed-dim", "16", "--decoder-embed-dim", "16"],
        *["--encoder-layers", "[(16, 3)]", "--decoder-layers", "[(16, 3)]"],
        *["--decoder-out-embed-dim", "16", "--dropout", "0.1"],
    ],
}
# else fairseq saves checkpoint_last.pt at the end of every epoch too
NO_EPOCHS = ["--no-epoch-checkpoints", "--save-interval", 1000]
COMMON = [
    *["--optimizer", "adam", "--lr", "0.01", "--lr-scheduler", "fixed", "--max-tokens", "250"],
    *["--seed", "3", "--log-format", "json", "--log-interval", "1", "--num-workers", "0"],
    *["--data-buffer-size", "0", "--max-source-positions", "100", "--max-target-positions", "100"],
]


@functools.lru_cache(maxsize=None)
def data_bin(train: int = 400, valid: int = 40) -> Path:
    """Slice of Multi30k with features, made once a session: copy it before changing it."""
    # not at the top: a run without --user-dir must not find the plugin imported by this module
    from fairseq_autoassist.cli.tfidf import main as build_features

    folder = multi30k_data_bin(train, valid)
    assert build_features([str(folder)]) == 0
    return folder


def copy_data_bin(folder: Path, **sizes: int) -> Path:
    """Copy of `data_bin` that a test may change."""
    shutil.copytree(data_bin(**sizes), folder)
    return folder


@functools.lru_cache(maxsize=None)
def gpu_context() -> multiprocessing.context.BaseContext:
    """Context that starts runs on a GPU: the server, unless its imports touched CUDA.

    A process forked after that cannot use the GPU. Then runs start without a fork, more slowly.
    """
    probe = server().Process(target=_touch_gpu)
    probe.start()
    probe.join(TIMEOUT)
    usable = probe.exitcode == 0
    probe.kill()
    return server() if usable else multiprocessing.get_context("spawn")


def _touch_gpu() -> None:
    import torch

    torch.zeros(1, device="cuda")


@dataclass
class Run:
    """Output of a finished run."""

    status: int
    output: str
    batches: list[dict]  # of the training steps: number, ids, loss, update
    updates: list[dict]  # the JSON lines of the training log

    def ids(self) -> list[list[int]]:
        """Ids by micro-batch, in the order in which they were trained on."""
        return [batch["ids"] for batch in self.batches]

    def losses(self) -> list[float]:
        """Loss by micro-batch, in order."""
        return [batch["loss"] for batch in self.batches]

    def ok(self) -> Run:
        """Return itself; fail the test if the run failed."""
        assert self.status == 0, self.output[-4000:]
        return self


class Process:
    """Run that may still be running.

    Args:
        program: module of one of fairseq's command-line entries
        arguments: its words; without ``--cpu`` it takes a GPU, where there is one
        record: record micro-batches, and make a GPU deterministic, which slows the run
    """

    def __init__(self, program: str, arguments: Sequence[object], record: bool = True) -> None:
        self.folder = session_folder() / f"run-{time.monotonic_ns()}"
        self.folder.mkdir()
        words = [str(word) for word in arguments]
        context = server() if "--cpu" in words or not has_gpu() else gpu_context()
        self._process = context.Process(
            target=run_in_child, args=(program, words, str(self.folder), record, dict(os.environ))
        )
        self._process.start()
        self.pid = self._process.pid

    def wait(self, timeout: float = TIMEOUT) -> Run:
        """Wait for its end; kills it and all its children when it takes too long."""
        self._process.join(timeout)
        if self._process.is_alive():
            self.kill_all()
            raise TimeoutError(f"no end within {timeout} s:\n{self.output()[-4000:]}")
        return Run(self._process.exitcode, self.output(), self.batches(), self.log())

    def output(self) -> str:
        """Standard output and error so far."""
        path = self.folder / "output"
        return path.read_text(errors="replace") if path.exists() else ""

    def batches(self) -> list[dict]:
        """Micro-batches trained on so far."""
        return _json_lines(self.folder / "batches.jsonl")

    def log(self) -> list[dict]:
        """JSON of the log lines of training updates so far."""
        lines = [line for line in self.output().splitlines() if "| train_inner | {" in line]
        return [json.loads(line.split("| train_inner | ", 1)[1]) for line in lines]

    def signal(self, number: int) -> None:
        """Send a signal to the run, not to its children."""
        os.kill(self.pid, number)

    def kill_all(self) -> None:
        """End the run and everything below it."""
        for pid in [self.pid, *children(self.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.join()


@contextlib.contextmanager
def start_train(
    data: Path, save_dir: Path, *words: object, model: str = "transformer", gpu: bool = False
) -> Iterator:
    """Start a run of fairseq-train, which ends with the block in any case."""
    arguments = [data, *TINY[model], *COMMON, "--save-dir", save_dir, *words]
    arguments += [] if gpu else ["--cpu"]
    process = Process("fairseq_cli.train", arguments)
    try:
        yield process
    finally:
        process.kill_all()


def train(
    data: Path, save_dir: Path, *words: object, model: str = "transformer", gpu: bool = False
) -> Run:
    """Run fairseq-train to its end."""
    with start_train(data, save_dir, *words, model=model, gpu=gpu) as process:
        return process.wait()


def run(program: str, *words: object) -> Run:
    """Run another of fairseq's command-line entries, by module."""
    process = Process(program, words)
    try:
        return process.wait()
    finally:
        process.kill_all()


def _json_lines(path: Path) -> list[dict]:
    if not path.exists():
        return []
    # the last line may be half-written
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def one_after_another(run: Run) -> bool:
    """Whether every planned micro-batch was trained on in order, without a dummy batch."""
    numbers = [batch["number"] for batch in run.batches]
    return numbers == list(range(len(numbers)))


def find(run: Run, text: str) -> str | None:
    """First line of a run's output that holds a text; None: there is none."""
    return next((line for line in run.output.splitlines() if text in line), None)
