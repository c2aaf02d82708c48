"""SIGTERM, as schedulers send it, ends a run like Ctrl-C does: without leaving processes behind.

By default SIGTERM ends Python on the spot, and torch's loader workers can then block for ever on a
pipe that nobody reads.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any


def end_cleanly_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit in this process, unless somebody handles it already."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return
    training = os.getpid()

    def end(number: int, frame: Any) -> None:
        if os.getpid() != training:  # a forked loader worker: to it SIGTERM means what it did
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
