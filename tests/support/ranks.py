"""Real fairseq-train runs over several ranks of this machine: a process for each, over gloo."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Iterator

from tests.support.training import COMMON, TINY, Process, Run

# several ranks on CPU: with --distributed-world-size alone or torchrun fairseq needs GPUs
GLOO = ["--distributed-no-spawn", "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"]


@contextlib.contextmanager
def start_ranks(count: int, data: Path | str, save_dir: Path, *words: object) -> Iterator[list]:
    """Start the processes of all ranks, which end with the block in any case."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    meet = [
        "--distributed-world-size",
        count,
        "--distributed-init-method",
        f"tcp://localhost:{port}",
    ]
    words = (
        data,
        *TINY["transformer"],
        *COMMON,
        "--cpu",
        "--save-dir",
        save_dir,
        *GLOO,
        *meet,
        *words,
    )
    processes = []
    try:
        for rank in range(count):
            processes.append(Process("fairseq_cli.train", [*words, "--distributed-rank", rank]))
        yield processes
    finally:
        for process in processes:
            process.kill_all()


def train_ranks(count: int, data: Path | str, save_dir: Path, *words: object) -> list[Run]:
    """Run several ranks to their end; returns each rank's run."""
    with start_ranks(count, data, save_dir, *words) as processes:
        return [process.wait().ok() for process in processes]
