"""Handler of SIGTERM, which schedulers send: the run ends as by Ctrl-C and leaves no process.

By default SIGTERM ends Python at once. torch's loader workers can then block for ever on a pipe
that nobody reads.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from typing import Any

# Python handles signals between bytecodes only. A main thread that waits in a collective for a lost
# rank never returns there, so the process is ended after so many seconds.
GRACE_SECONDS = 10.0

_wakeup: tuple[socket.socket, socket.socket] | None = (
    None  # kept, since an unreferenced socket is closed
)


def end_cleanly_on_sigterm(grace: float = GRACE_SECONDS) -> None:
    """Turn SIGTERM into SystemExit in this process, unless a handler is set already.

    Args:
        grace: seconds until the process is ended without its main thread's help
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return
    training = os.getpid()

    def end(number: int, frame: Any) -> None:
        if os.getpid() != training:  # a forked loader worker gets the default back
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    _insist_after(grace)


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def _let_go() -> None:
    signal.set_wakeup_fd(-1)
    _release()


def _insist_after(grace: float) -> None:
    global _wakeup
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    if before != -1:  # an event loop uses it
        signal.set_wakeup_fd(before)
        return
    _wakeup = (reader, writer)
    # A forked loader worker handles its own signals. None may arrive between the fork and the reset
    # of its wake-up.
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_let_go)

    def insist() -> None:
        while signal.SIGTERM not in reader.recv(64):
            pass
        time.sleep(grace)
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=insist, name="autoassist-sigterm", daemon=True).start()
