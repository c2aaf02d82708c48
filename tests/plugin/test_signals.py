"""SIGTERM ends a process whose main thread is stuck in C, and keeps users' handlers."""

import signal
import subprocess
import sys
import time

import pytest

from tests.support.corpus import ROOT

pytestmark = pytest.mark.timeout(60)
SIGNALS = ROOT / "fairseq_autoassist" / "plugin" / "signals.py"
PROLOGUE = f"""
import ctypes, importlib.util, multiprocessing, os, signal, sys, time
spec = importlib.util.spec_from_file_location("signals", {str(SIGNALS)!r})
signals = importlib.util.module_from_spec(spec)
spec.loader.exec_module(signals)
"""
BLOCKED = """
signals.end_cleanly_on_sigterm(grace=1.0)
print("ready", flush=True)
mutex = ctypes.create_string_buffer(64)
library = ctypes.CDLL(None)
library.pthread_mutex_lock(mutex)
library.pthread_mutex_lock(mutex)  # a deadlock in C: no handler of Python's runs
"""
FORKED = """
signals.end_cleanly_on_sigterm(grace=0.5)
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
child.start()
child.terminate()
child.join(10)
time.sleep(1.5)  # longer than the grace: the child's SIGTERM must not end this process
print("ready", child.exitcode, flush=True)
time.sleep(60)
"""
HANDLED = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
signals.end_cleanly_on_sigterm()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    "program, status, said",
    [(BLOCKED, 143, "ready"), (FORKED, 143, "ready -15"), (HANDLED, 3, "ready")],
    ids=["blocked in C", "with a forked child", "handled by the user"],
)
def test_sigterm_ends_the_process(program, status, said):
    process = subprocess.Popen(
        [sys.executable, "-c", PROLOGUE + program], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline().strip() == said
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == status
    finally:
        process.kill()
        process.wait()
