"""The exchange with a worker process, which plans while the model trains.

The worker is a plain subprocess on a socket pair. Nothing is forked from a process that holds a GPU
and threads, and the worker imports numpy and scipy only.
"""

from __future__ import annotations

import math
import os
import queue
import socket
import subprocess
import sys
import threading
import weakref
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import AssistantFailure, told
from ...options import flag
from ..planner import Planner
from ..protocol import PlannedBatch, PlanSpec
from .client import Exchange
from .replay import Replay

# For the first answer: imports, opening features, the first permutation of a large corpus.
_START_SECONDS = 120.0
_POLL_SECONDS = 0.2
_END_SECONDS = 5.0  # for a thread to notice that its worker was killed
# Imports this copy of the package, under the name that pickles of its classes have. Neither the
# working folder nor the package's own is searched: a tokenize.py there would replace Python's.
_PROGRAM = """
import importlib, importlib.util, os, sys
sys.path[:] = [folder for folder in sys.path if folder]
module, folder = sys.argv[2:]
name = module.rsplit(".", 3)[0]
init = os.path.join(folder, "__init__.py")
spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[folder])
sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[name])
importlib.import_module(module).main()
"""
_MODULE = f"{__package__}.child"  # the full name, which ps shows


class ProcessExchange(Exchange):
    """Plans in a worker process; when that fails, goes on inline without skipping, or raises.

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
        """Process id of the worker; None after it was given up."""
        return None if self._fallback is not None else self._worker.pid

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    def _start(self, planner_state: dict[str, Any] | None) -> None:
        self._replay = Replay(planner_state)
        self._answered = False
        self._worker = _Worker(self._replay, self._lock)
        weakref.finalize(self, self._worker.end)  # no call tells a task that its run is over
        self._worker.send(("start", self.spec, planner_state))

    def _next(self) -> PlannedBatch:
        if self._fallback is None:
            try:
                return self._receive(self._worker.batches)
            except _Lost as lost:
                self._fail(str(lost))
        try:
            return self._worker.batches.get_nowait()  # what the worker planned before it failed
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
            self._replay.reported(number, losses, update)
        self._worker.send(("report", number, losses, update))

    def _planner_state(self) -> dict[str, Any]:
        if self._fallback is None:
            reported = self.ledger.reported
            self._worker.send(("state", reported))
            try:
                while (answer := self._receive(self._worker.states))[0] != reported:
                    pass  # the answer to an earlier call, which Ctrl-C broke off
                return answer[1]
            except _Lost as lost:
                self._fail(str(lost))
        assert self._fallback is not None
        with self._lock:
            return self._fallback.state_dict()

    def _receive(self, answers: queue.Queue) -> Any:
        """Wait for the worker's next answer.

        Raises:
            _Lost: it died, or gave none in time
        """
        limit = self.spec.config.timeout if self._answered else _START_SECONDS
        # counted in polls: by the clock, a run stopped by Ctrl-Z would be late at once
        for _ in range(math.ceil(limit / _POLL_SECONDS)):
            try:
                answer = answers.get(timeout=_POLL_SECONDS)
                self._answered = True
                return answer
            except queue.Empty:
                if self._worker.lost is not None and answers.empty():
                    raise _Lost(self._worker.lost) from None
        raise _Lost(f"gave no answer for {limit:g} s")

    def _fail(self, reason: str) -> None:
        """Give the worker up; the first thread that notices builds its successor."""
        self._worker.close()
        with self._lock:
            if self._fallback is not None:
                return
            self.failure = f"the Assistant's process (pid {self._worker.pid}) {reason}"
            if self.spec.config.on_failure == "stop":
                raise AssistantFailure(
                    f"{self.failure}; stopping, as {flag('on_failure')} stop asks for"
                )
            self._fallback = self._replay.successor(self.spec)
            self.kept_since = self._fallback.kept_when_abandoned


class _Lost(Exception):
    """The worker died or does not answer."""


class _Worker:
    """Worker process with two threads, so that neither a full pipe nor a stopped worker blocks."""

    def __init__(self, replay: Replay, lock: threading.Lock) -> None:
        self._replay, self._lock = replay, lock
        mine, its = socket.socketpair()
        package = str(Path(__file__).resolve().parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(its.fileno()), _MODULE, package],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            # One thread, which leaves the other cores to the model. Temporaries of a new pass go
            # back to the system at once: kept for reuse they take 10 bytes an item and rank.
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "MALLOC_MMAP_THRESHOLD_": str(3 << 19),
                "MALLOC_TRIM_THRESHOLD_": str(3 << 19),
            },
        )
        its.close()
        self._connection = Connection(mine.detach())
        self.pid, self._parent = self._process.pid, os.getpid()
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

    def end(self) -> None:
        """End the process, and then the two threads, which notice; callable from any thread.

        A thread that still runs while Python ends can abort Python.
        """
        if os.getpid() != self._parent:  # a forked data loader, which has a copy of this
            return
        self._process.kill()
        for thread in (self._reader, self._writer):
            if thread is not threading.current_thread():
                thread.join(_END_SECONDS)

    def close(self) -> None:
        """End the process; returns when everything it sent is in the replay."""
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
            pass  # the reader notices the same and sets `lost`
        except Exception as error:  # of pickling, such as a class inside a function
            self.lost = f"was sent what cannot be pickled: {told(error)}"

    def _read(self) -> None:
        try:
            while True:
                kind, content = self._connection.recv()
                if kind == "error":
                    self.lost = f"raised:\n{content}"
                    return
                self._sort(kind, content)
        except (EOFError, OSError):
            self.lost = self.lost or f"died ({_cause(self._process)})"
        except Exception as error:
            self.lost = f"sent what cannot be read: {told(error)}"
        finally:
            self._outbox.put(None)

    def _sort(self, kind: str, content: Any) -> None:
        if kind == "state":
            self.states.put(content)
            return
        with self._lock:
            if kind == "snapshot":
                self._replay.known(content)
            else:
                self._replay.delivered(content)
                self.batches.put(content)


def _cause(process: subprocess.Popen) -> str:
    try:
        code = process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return "closed its connection"
    return f"signal {-code}" if code < 0 else f"exit status {code}"
