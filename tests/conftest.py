"""Fixtures of all tests: no process outlives a test, and Hypothesis tries fixed examples."""

import ctypes
import gc
import os
import signal

import pytest
from hypothesis import settings

from tests.support.processes import alive, children, command_line, serves, wait_for

# Orphaned processes become children of the tests, not of process 1, for `no_orphans` to see.
_PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

# A shell that runs the tests in the background makes them and their children ignore Ctrl-C, which
# some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# New random examples could fail a run without any change.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture
def one_thread():
    """Compute in one thread of torch, since waiting for a busy core is a hundred times slower."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_orphans():
    """Fail a test that leaves a process behind, and end it."""
    before = set(children(os.getpid()))
    yield
    left = [pid for pid in children(os.getpid()) if pid not in before and not serves(pid)]
    if not left:
        return
    gc.collect()  # a data loader in this process ends its workers only then
    named = {pid: command_line(pid) for pid in left}
    try:
        wait_for(lambda: not any(alive(pid) for pid in left), 8, "processes to end")
    except TimeoutError:
        left = [pid for pid in left if alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        pytest.fail("the test left running: " + "; ".join(f"{pid} {named[pid]}" for pid in left))
