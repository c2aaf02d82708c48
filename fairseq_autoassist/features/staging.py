"""Staging of folders and files, which appear whole or not at all if the writer is killed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Iterator, Sequence

from ..errors import FeatureError, told

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None)  # None: numpy wrote only a part
_SHARED = Path("/dev/shm")  # where workers have their locks
_LITTLE = 1 << 20  # bytes left on a disk that is full


@contextlib.contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """Make an empty folder beside ``target`` for ``publish``; it is removed if not published.

    Folders that were made for it are removed too. Its name has host and process id. The next run on
    the same host removes what a SIGKILL left, but not the folder of a live writer.

    Raises:
        FeatureError: the place is read-only; the message tells how to name another
    """
    missing = [place for place in target.parents if not place.exists()]
    try:
        with _elsewhere_if_read_only(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        with _beside(target) as folder:
            yield folder
    finally:
        for place in missing:
            with contextlib.suppress(OSError):  # not empty, or could not be made
                place.rmdir()


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    owner = f".{target.name}.tmp-{socket.gethostname()}-"
    for stale in target.parent.glob(owner + "*"):
        number = stale.name[len(owner) :].split(".")[0]
        if number.isdecimal() and (int(number) == os.getpid() or not _alive(int(number))):
            if stale.suffix == ".old" and not target.exists():
                stale.rename(target)  # its writer was killed between the two renames of `publish`
            else:
                _remove(stale)
    folder = target.parent / f"{owner}{os.getpid()}"
    try:
        with _elsewhere_if_read_only(target.parent):
            folder.mkdir()
        yield folder
    finally:  # also on KeyboardInterrupt and SystemExit
        _remove(folder)


def publish(folder: Path, target: Path) -> None:
    """Rename ``folder`` to ``target`` and replace what is there.

    A process that mapped the old files keeps them.
    """
    old = folder.with_name(folder.name + ".old")
    if target.exists():
        target.rename(old)
    folder.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def named_if_refused(places: Sequence[Path]) -> Iterator[None]:
    """Turn an OSError into one line that names the file or the disk.

    Use it inside `staging_folder`, since a full disk is recognised by its free space.

    Args:
        places: folders beside which files are written

    Raises:
        FeatureError: the message tells what was refused, and what to do
    """
    try:
        yield
    except OSError as error:
        raise FeatureError(_refused(error, [place.parent for place in places])) from error


def _refused(error: OSError, folders: list[Path]) -> str:
    if error.errno not in _FULL:
        where = "" if error.filename else f"{folders[0]}: "
        return f"{where}{told(error)}, expected a file or folder that can be read and written"
    others = [place for place in (_SHARED, Path(tempfile.gettempdir())) if place.is_dir()]
    full = [place for place in [*folders, *others] if shutil.disk_usage(place).free < _LITTLE]
    place, why = error.filename or (full or folders)[0], error.strerror or told(error)
    if place in others and place not in folders:
        return (
            f"{place}: {why}, expected some room there for temporary files and the "
            "locks of --workers; make room, or run it with --workers 1"
        )
    return (
        f"{place}: {why}, expected room for what is written in {folders[0]}; make room "
        "there, or name a folder on another disk with --dest FOLDER, and the same to fairseq-train "
        "with --autoassist-features FOLDER"
    )


@contextlib.contextmanager
def _elsewhere_if_read_only(place: Path) -> Iterator[None]:
    """Turn a refusal to write, as in a shared data-bin, into a FeatureError."""
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

    It is renamed first. A worker then finds no folder, and stops.
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
