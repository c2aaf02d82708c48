"""Code that commands share: arguments of a data-bin and its workers, and handling of signals."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import threading
from types import FrameType
from typing import Iterator


def add_common(parser: argparse.ArgumentParser, data_bin: str, dest: str) -> None:
    """Add the arguments of every command that reads a data-bin with workers.

    Args:
        data_bin, dest: help texts of these two
    """
    add = parser.add_argument
    add("data_bin", metavar="DATA_BIN", help=f"{data_bin}, or shards a:b")
    add("-s", "--source-lang", metavar="LANG", help="default: from the file names")
    add("-t", "--target-lang", metavar="LANG", help="default: from the file names")
    add("--train-subset", default="train", metavar="NAME", help="default: %(default)s")
    add("--dest", metavar="FOLDER", help=dest)
    add(
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="processes that share the work, with the same result (default: %(default)s)",
    )
    add(
        "--backend",
        metavar="NAME",
        help="joblib backend that runs them: loky (default: processes of this machine), threading, "
        "dask (cluster in DASK_SCHEDULER_ADDRESS) or ray (cluster in RAY_ADDRESS); a cluster needs "
        "this package and the data-bin under the same paths on every machine",
    )
    add("--no-progress", action="store_true", help="no progress bar")


def positive(text: str) -> int:
    """Parse an integer of at least 1.

    Raises:
        ValueError, argparse.ArgumentTypeError: the text is no such integer
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {value}, expected at least 1")
    return value


@contextlib.contextmanager
def printed() -> Iterator[None]:
    """Let the block print any text to standard output, whose reader may leave before its end.

    Characters that its encoding lacks become escapes. A reader such as ``head`` is no error.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # else the interpreter would report it again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def terminated_cleanly(program: str) -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that half-written folders are removed.

    An extension module may replace or swallow the handler's exception. So any end of the block
    after a signal is reported as that signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set handlers
        return
    received: list[int] = []

    def leave(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # set by nohup or "&"
            signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            name = signal.Signals(received[0]).name
            print(f"{program}: stopped by {name}", file=sys.stderr)
            raise SystemExit(128 + received[0]) from None
