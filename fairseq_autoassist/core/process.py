"""The exchange with a worker process: planning runs beside the Boss.

A plain subprocess on a socket pair, not multiprocessing: nothing is forked from a process that
holds a GPU and threads, and the worker imports numpy and scipy only.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AssistantFailure
from .exchange import Exchange, History
from .plan import PlannedBatch, PlanSpec
from .planner import Planner

# To start: imports, opening features, the first permutation of a large corpus.
_START_SECONDS = 120.0
_POLL_SECONDS = 0.2
# Not -m: with that a tokenize.py in the working folder would stand in for Python's own.
_PROGRAM = (
    "import sys; sys.path[:] = [folder for folder in sys.path if folder]; "
    f"from {__package__}.worker import main; main()"
)


class ProcessExchange(Exchange):
    """Plans in a worker process; when that fails, goes on inline without shrinking, or raises.

    Args:
        spec: what to plan from
        state: of an earlier `state_dict`, to go on from

    Raises:
        AssistantFailure: (from any method) the worker failed and ``spec.config.on_failure`` is
            'stop'
    """

    def __init__(self, spec: PlanSpec, state: dict[str, Any] | None = None) -> None:
        self._fallback: Planner | None = None
        super().__init__(spec, state)

    @property
    def pid(self) -> int | None:
        """Process id of the worker, or None once its work was taken over."""
        return None if self._fallback is not None else self._worker.pid

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    def _start(self, planner_state: dict[str, Any] | None) -> None:
        self._history = History(planner_state)
        self._answered = False
        self._worker = _Worker(self._history, self._lock)
        self._worker.send(("start", self.spec, planner_state))

    def _next(self) -> PlannedBatch:
        if self._fallback is None:
            try:
                return self._receive(self._worker.batches)
            except _Lost as lost:
                self._fail(str(lost))
        try:
            return self._worker.batches.get_nowait()  # planned before the worker failed
        except queue.Empty:
            pass
        assert self._fallback is not None
        with self._lock:
            return self._fallback.plan()

    def _report(self, number: int, losses: np.ndarray | None, update: float | None) -> None:
        if self._fallback is None and self._worker.lost is not None:
            self._fail(self._worker.lost)
        with self._lock:
            if self._fallback is not None:
                self._fallback.receive(number, losses, update)
                return
            self._history.reported(number, losses, update)
        self._worker.send(("report", number, losses, update))

    def _planner_state(self) -> dict[str, Any]:
        if self._fallback is None:
            self._worker.send(("state",))
            try:
                return self._receive(self._worker.states)
            except _Lost as lost:
                self._fail(str(lost))
        assert self._fallback is not None
        with self._lock:
            return self._fallback.state_dict()

    def _receive(self, answers: queue.Queue) -> Any:
        """The worker's next answer.

        Raises:
            _Lost: it died, or gave none in time
        """
        limit = self.spec.config.timeout if self._answered else _START_SECONDS
        deadline = time.monotonic() + limit
        while True:
            try:
                answer = answers.get(timeout=_POLL_SECONDS)
                self._answered = True
                return answer
            except queue.Empty:
                if self._worker.lost is not None and answers.empty():
                    raise _Lost(self._worker.lost) from None
                if time.monotonic() > deadline:
                    raise _Lost(f"gave no answer for {limit:g} s") from None

    def _fail(self, reason: str) -> None:
        """Give the worker up; the first of the threads to notice builds its successor."""
        self._worker.close()
        with self._lock:
            if self._fallback is not None:
                return
            self.failure = f"the Assistant's process (pid {self._worker.pid}) {reason}"
            if self.spec.config.on_failure == "stop":
                raise AssistantFailure(
                    self.failure + "; stopping, as --autoassist-on-failure stop asks for"
                )
            self._fallback = self._history.successor(self.spec)


class _Lost(Exception):
    """The worker is no more, or does not answer."""


class _Worker:
    """A worker process and two threads: neither a full pipe nor a stopped worker blocks anyone."""

    def __init__(self, history: History, lock: threading.Lock) -> None:
        self._history, self._lock = history, lock
        mine, its = socket.socketpair()
        package_parent = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (package_parent, os.environ.get("PYTHONPATH")) if p)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(its.fileno())],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            # One thread: it must not take the Boss's cores. And the temporaries of a new pass go
            # back to the system at once: kept for reuse they are 10 bytes a pair and rank.
            env={
                **os.environ,
                "PYTHONPATH": path,
                "OMP_NUM_THREADS": "1",
                "MALLOC_MMAP_THRESHOLD_": str(3 << 19),
                "MALLOC_TRIM_THRESHOLD_": str(3 << 19),
            },
        )
        its.close()
        self._connection = Connection(mine.detach())
        self.pid = self._process.pid
        self.lost: str | None = None
        self._outbox: queue.Queue = queue.Queue()
        self.batches: queue.Queue = queue.Queue()
        self.states: queue.Queue = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="autoassist-read", daemon=True)
        self._writer = threading.Thread(target=self._write, name="autoassist-write", daemon=True)
        self._reader.start()
        self._writer.start()

    def send(self, message: tuple) -> None:
        """Post a message; never blocks."""
        self._outbox.put(message)

    def close(self) -> None:
        """End the process; returns when all it had sent is in the history."""
        self._outbox.put(None)
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _write(self) -> None:
        try:
            while True:
                message = self._outbox.get()
                if message is None:
                    return
                self._connection.send(message)
        except OSError:
            pass  # the reader sees the same and says it

    def _read(self) -> None:
        try:
            while True:
                kind, content = self._connection.recv()
                if kind == "error":
                    self.lost = f"raised:\n{content}"
                    return
                self._sort(kind, content)
        except (EOFError, OSError):
            self.lost = f"died ({_cause(self._process)})"

    def _sort(self, kind: str, content: Any) -> None:
        if kind == "state":
            self.states.put(content)
            return
        with self._lock:
            if kind == "snapshot":
                self._history.known(content)
            else:
                self._history.delivered(content)
                self.batches.put(content)


def _cause(process: subprocess.Popen) -> str:
    try:
        code = process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return "closed its connection"
    return f"signal {-code}" if code < 0 else f"exit status {code}"
