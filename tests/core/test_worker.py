"""Worker process: its start, its end, and its replay."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fairseq_autoassist.core.worker.child import SNAPSHOT_EVERY
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.core.worker.replay import Replay
from tests.support.corpus import ROOT
from tests.support.planning import make_spec
from tests.support.processes import alive, wait_for

LAG = 10
FORKED = """
import os, sys, time
from fairseq_autoassist.core.worker.process import ProcessExchange
from tests.support.planning import make_spec
exchange = ProcessExchange(make_spec(500))
exchange.next_batch()
copy = os.fork()
if copy == 0:
    time.sleep(200)
    os._exit(0)
print(exchange.pid, copy, flush=True)
time.sleep(200)
"""

AT_EXIT = """
import atexit, threading
atexit.register(lambda: print([thread.name for thread in threading.enumerate()]))
from fairseq_autoassist.core.worker.process import ProcessExchange
from tests.support.planning import make_spec
exchange = ProcessExchange(make_spec(500))
exchange.next_batch()
"""


@pytest.fixture
def worker():
    """Function that starts an exchange with a worker; all are closed after the test."""
    with contextlib.ExitStack() as stack:

        def start(**settings):
            exchange = ProcessExchange(make_spec(500, lag=LAG, **settings))
            return stack.enter_context(contextlib.closing(exchange))

        yield start


def test_a_worker_may_take_longer_to_start_than_to_answer(worker):
    exchange = worker(timeout=0.1)
    os.kill(exchange.pid, signal.SIGSTOP)
    timer = threading.Timer(1.0, os.kill, (exchange.pid, signal.SIGCONT))
    timer.start()
    exchange.next_batch()
    timer.join()
    assert exchange.failure is None


def test_the_worker_computes_in_one_thread(worker, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    environment = Path(f"/proc/{worker().pid}/environ").read_bytes().split(b"\0")
    threads = [line for line in environment if line.startswith(b"OMP_NUM_THREADS=")]
    assert threads == [b"OMP_NUM_THREADS=1"]


def test_the_worker_ends_with_its_parent_though_a_fork_of_the_parent_lives():
    """A forked data loader holds the parent's end of the connection."""
    words, pids = [sys.executable, "-c", FORKED], []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        try:
            pids = [int(word) for word in parent.stdout.readline().split()]
            worker, copy = pids
            assert alive(worker)
            parent.kill()
            wait_for(lambda: not alive(worker), 8, "the worker to end with its parent")
            assert alive(copy)
        finally:
            parent.kill()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_no_thread_of_the_exchange_runs_while_python_ends():
    """The program's own exit handler is registered first, so it runs last."""
    words = [sys.executable, "-c", AT_EXIT]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (0, "['MainThread']\n"), done.stderr


def test_an_exchange_that_is_dropped_takes_its_threads_with_it():
    before = set(threading.enumerate())
    exchange = ProcessExchange(make_spec(500))
    exchange.next_batch()
    assert set(threading.enumerate()) > before
    del exchange
    gc.collect()
    assert set(threading.enumerate()) == before


def test_features_that_cannot_be_sent_end_the_worker_at_once_with_the_reason():
    class Local:
        def open(self):
            raise AssertionError("never called")

    spec = dataclasses.replace(make_spec(500, lag=LAG), features=Local())
    with contextlib.closing(ProcessExchange(spec)) as exchange:
        began = time.monotonic()
        batches = [exchange.next_batch() for _ in range(3)]
        assert time.monotonic() - began < 60  # an answer would be waited for twice as long
        assert [batch.number for batch in batches] == [0, 1, 2]
        assert "was sent what cannot be pickled: " in exchange.failure
        assert "Local" in exchange.failure


def test_the_replay_of_a_worker_is_bounded(worker):
    exchange, longest = worker(), 0
    replay = exchange._replay
    for _ in range(4 * SNAPSHOT_EVERY):
        exchange.report(exchange.next_batch().number, None)
        with exchange._lock:
            longest = max(longest, len(replay._delivered), len(replay._reports))
    assert exchange.failure is None and longest <= SNAPSHOT_EVERY + 2 * LAG


def test_the_replay_forgets_reports_that_a_state_holds_or_has_learned_from():
    replay = Replay(None)
    for number in range(5):
        replay.reported(number, None, None)
    replay.known({"next_number": 5, "learned": 2, "reports": {2: None, 3: None}})
    assert set(replay._reports) == {4}


def test_a_state_is_none_of_an_earlier_call_that_was_interrupted(worker, monkeypatch):
    exchange = worker()
    exchange.next_batch()

    def interrupted(answers):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(exchange, "_receive", interrupted)
        exchange.state_dict()
    exchange.report(0, None)
    state = exchange.state_dict()
    assert exchange.failure is None
    assert (state["trained"], state["planner"]["next_number"]) == (1, 1 + LAG)


def test_a_report_that_comes_twice_is_refused():
    exchange = Exchange(make_spec(500))
    exchange.report(exchange.next_batch().number, None)
    with pytest.raises(ValueError, match="report of micro-batch 0, expected 1"):
        exchange.report(0, None)


def test_the_time_waited_for_a_batch_is_counted(monkeypatch):
    exchange = Exchange(make_spec(500))
    plan = exchange._planner.plan

    def slowly():
        time.sleep(0.05)
        return plan()

    monkeypatch.setattr(exchange._planner, "plan", slowly)
    exchange.next_batch()
    assert exchange.waited >= 0.05
