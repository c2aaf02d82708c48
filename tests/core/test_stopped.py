"""Ctrl-Z and fg: a run that is stopped for longer than the timeout keeps its worker."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.corpus import ROOT
from tests.support.processes import alive

pytestmark = pytest.mark.timeout(60)
TIMEOUT = 3.0  # --autoassist-timeout, seconds
PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from fairseq_autoassist.core.worker.process import ProcessExchange
from tests.support.planning import make_spec
exchange = ProcessExchange(make_spec(500, timeout={TIMEOUT}))
batch = exchange.next_batch()
print(exchange.pid, flush=True)
sys.stdin.readline()
for _ in range(30):
    exchange.report(batch.number, None)
    batch = exchange.next_batch()
sys.exit(exchange.failure)
"""


def test_a_run_that_was_stopped_keeps_its_worker() -> None:
    words = [sys.executable, "-c", PROGRAM]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    worker = None
    with subprocess.Popen(words, text=True, **pipes) as run:
        try:
            worker = int(run.stdout.readline())
            os.kill(worker, signal.SIGSTOP)  # first, so that the run waits for it
            run.stdin.write("\n")
            run.stdin.flush()
            time.sleep(TIMEOUT / 6)
            os.kill(run.pid, signal.SIGSTOP)
            time.sleep(1.2 * TIMEOUT)
            os.kill(run.pid, signal.SIGCONT)
            time.sleep(TIMEOUT / 6)  # the run checks the timeout before the worker can answer
            with contextlib.suppress(ProcessLookupError):  # the run ended it, and fails below
                os.kill(worker, signal.SIGCONT)
            said = run.communicate(timeout=30)[1]
        finally:
            run.kill()
            if worker is not None and alive(worker):
                os.kill(worker, signal.SIGKILL)
    assert run.returncode == 0, said
