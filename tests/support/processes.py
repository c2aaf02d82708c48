"""Processes of a test: find them, and wait for them."""

from __future__ import annotations

import os
import sys
import time
from multiprocessing import forkserver
from pathlib import Path
from typing import Callable

WORKER = "fairseq_autoassist.core.worker.child"
# The command autoassist-tfidf with chunks so small that a build lasts for many seconds.
SLOW_TFIDF = (
    *(sys.executable, "-c"),
    "import functools, sys\n"
    "from fairseq_autoassist.cli.tfidf import main\n"
    "from fairseq_autoassist.features.tfidf import build\n"
    "build.build_features = functools.partial(build.build_features, chunk_tokens=60)\n"
    "sys.exit(main())",
)


def children(pid: int) -> list[int]:
    """Process ids of all living descendants of a process."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, queue = [], [pid]
    while queue:
        parent = queue.pop()
        mine = [child for child, its in parents.items() if its == parent]
        found += mine
        queue += mine
    return found


def workers(pid: int) -> list[int]:
    """Process ids of the Assistants below a process."""
    return [child for child in children(pid) if WORKER in command_line(child)]


def serves(pid: int) -> bool:
    """Whether multiprocessing or joblib keeps a process for later tests.

    A resource tracker ends with the last process that it serves, and does not count.
    """
    tracks = "resource_tracker import main" in command_line(pid)
    return tracks or pid == forkserver._forkserver._forkserver_pid


def command_line(pid: int) -> str:
    """Arguments of a process, or '' once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> object:
    """Poll until the condition holds; returns its value.

    Raises:
        TimeoutError: it did not hold in time
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise TimeoutError(f"waited {seconds} s for {what}")
