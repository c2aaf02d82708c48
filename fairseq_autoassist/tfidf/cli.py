"""The command ``autoassist-tfidf``."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from types import FrameType
from typing import Iterator

from ..errors import AutoAssistError, told
from .corpus import CHUNK_TOKENS


def main(argv: list[str] | None = None) -> int:
    """Build the features; 0 on success, 2 on an error the user can mend (one line on stderr)."""
    options = _parser().parse_args(argv)
    # Late, so that --help and wrong options answer at once: scikit-learn takes a second to load.
    from .build import TfidfSettings, build_features

    settings = TfidfSettings(not options.no_smooth_idf, options.sublinear_tf)
    try:
        with terminated_cleanly("autoassist-tfidf"):
            report = build_features(
                options.data_bin,
                options.source_lang,
                options.target_lang,
                options.train_subset,
                options.dest,
                settings,
                options.chunk_tokens,
                force=options.force,
                progress=not options.no_progress,
                workers=options.workers,
                backend=options.backend,
            )
    except (AutoAssistError, OSError) as error:
        print(f"autoassist-tfidf: error: {told(error)}", file=sys.stderr)
        return 2
    facts = (
        f"{report.rows:,} pairs, {report.dimensions:,} dimensions, {report.nnz:,} non-zeros, "
        f"{report.bytes / 1e6:,.1f} MB"
    )
    where = ", ".join(str(folder) for folder in report.folders)
    if report.reused:
        print(f"autoassist-tfidf: up to date: {facts} in {where} (--force builds them again)")
    else:
        rate = report.rows / max(report.seconds, 1e-9)
        print(f"autoassist-tfidf: {facts}, {rate:,.0f} pairs/s in {where}")
    if report.agreement_command:
        print(
            "autoassist-tfidf: the prior of autoassist-agreement is gone with the old features; "
            f"make it again with: {report.agreement_command}"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autoassist-tfidf",
        description="TF-IDF features of binarised sentence pairs, for training with AutoAssist.",
    )
    add_common(parser, "folder of fairseq-preprocess", "default: DATA_BIN/autoassist")
    add = parser.add_argument
    add(
        "--chunk-tokens",
        type=positive,
        default=CHUNK_TOKENS,
        metavar="N",
        help="tokens of both sides held in memory at once (default: %(default)s)",
    )
    add("--no-smooth-idf", action="store_true", help="idf without scikit-learn's extra document")
    add("--sublinear-tf", action="store_true", help="1 + ln(tf) in place of tf")
    add("--force", action="store_true", help="build again what is up to date")
    return parser


def add_common(parser: argparse.ArgumentParser, data_bin: str, dest: str) -> None:
    """Add the arguments of every command that goes through a data-bin with workers.

    Args:
        data_bin, dest: what the help says of these two
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
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {value}, expected at least 1")
    return value


@contextlib.contextmanager
def terminated_cleanly(program: str) -> Iterator[None]:
    """SIGTERM unwinds the stack as Ctrl-C does, so that half-written folders are removed.

    An extension module may turn the handler's exception into another, or swallow it: whatever
    comes out of the block once a signal has come is told as that signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    received: list[int] = []

    def leave(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise SystemExit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup and "&" may have asked for that
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


if __name__ == "__main__":
    sys.exit(main())
