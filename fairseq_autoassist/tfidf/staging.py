"""Folders and files that appear whole or not at all, whatever kills the writer."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
from pathlib import Path
from typing import Iterator

import numpy as np

from ..errors import FeatureError

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside ``target``, for ``publish`` to rename; removed if left unpublished.

    Its name carries host and process id, so that what a SIGKILL left behind is recognised and
    removed by the next run on the same host, and a live writer's folder is left alone.

    Raises:
        FeatureError: the place is read-only; the message says how to have another
    """
    with _elsewhere_if_read_only(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    owner = f".{target.name}.tmp-{socket.gethostname()}-"
    for stale in target.parent.glob(owner + "*"):
        number = stale.name[len(owner) :].split(".")[0]
        if number.isdecimal() and (int(number) == os.getpid() or not _alive(int(number))):
            _remove(stale)
    folder = target.parent / f"{owner}{os.getpid()}"
    try:
        with _elsewhere_if_read_only(target.parent):
            folder.mkdir()
        yield folder
    finally:  # also on KeyboardInterrupt and SystemExit
        _remove(folder)


def publish(folder: Path, target: Path) -> None:
    """Rename ``folder`` to ``target``, in place of what may be there.

    A process that has the old files mapped keeps them.
    """
    old = folder.with_name(folder.name + ".old")
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def write_beside(path: Path, values: np.ndarray) -> None:
    """Write float32 values (n,) to a file: all of it or nothing, whatever comes in between."""
    part = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        values.astype("<f4").tofile(part)
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


@contextlib.contextmanager
def _elsewhere_if_read_only(place: Path) -> Iterator[None]:
    """A data-bin that others share, say: where else the features may go is not guessed."""
    try:
        yield
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        raise FeatureError(
            f"cannot write to {place} ({error.strerror}), expected a folder of your own; name one "
            "with --dest FOLDER, and the same to fairseq-train with --autoassist-features FOLDER"
        ) from error


def _remove(folder: Path) -> None:
    """Remove a folder in which a worker may still be writing.

    Under another name it gets no new files: a worker finds that its folder is gone, and stops.
    """
    if not folder.exists():
        return
    doomed = folder if folder.suffix == ".gone" else folder.with_name(folder.name + ".gone")
    if doomed != folder:
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it exists, but belongs to another user
        return True
    return True
