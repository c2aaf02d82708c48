"""Reading and writing of text files, for all corpus scripts."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
import signal
import socket
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Iterator, Sequence

from preprocess.containers import (
    DAMAGE,
    ENDINGS,
    SNIFFED,
    Container,
    container_of,
    not_text,
    unpacking,
)

CHUNK = 1 << 20  # bytes
PART = ".tmp"  # end of a file's name while it is written
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class UserError(SystemExit):
    """Mistake that the user can mend: one line without a traceback, exit status 1."""

    def __init__(self, message: str) -> None:
        super().__init__(f"error: {message}")


def exit_on_signals() -> None:
    """Let SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that nothing half-made stays."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup sets this
            signal.signal(number, lambda number, frame: sys.exit(128 + number))


def open_bytes(path: Path) -> tuple[IO[bytes], Container | None]:
    """Open text for reading, unpacked from gzip, xz or bzip2; return its container too.

    Raises:
        UserError: the file is missing, or packed in another format
    """
    if not path.is_file():
        raise UserError(
            f"found no file {path}; expected text, one sentence a line (.gz, .xz, .bz2 are fine)"
        )
    with open(path, "rb") as plain:
        start = plain.read(SNIFFED)
    outer = container_of(start)
    named = ENDINGS.get(path.suffix)
    if outer is None or outer.opener is None:
        _refuse_packed(path, None, outer)
        if start and named is not None and named.opener is not None:
            raise UserError(
                f"{path} is not {named.name}, as its name says; expected it to begin as such: "
                f"fetch it again, or give it a name without {named.ending} if it is plain text"
            )
        return open(path, "rb"), None
    stream = outer.opener(path, "rb")
    try:
        _refuse_packed(path, outer, container_of(stream.read(SNIFFED)))
        stream.seek(0)
    except BaseException:
        stream.close()
        raise
    return stream, outer


def _refuse_packed(path: Path, outer: Container | None, inner: Container | None) -> None:
    if inner is not None:
        within = f" within {outer.name}" if outer else ""
        raise UserError(
            f"{path} is {inner.name}{within}, no text; expected UTF-8 text, one sentence a line: "
            f"unpack it with {unpacking(path, outer, inner)}"
        )


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file without their line feed; refuse a file that is not UTF-8 text.

    Only a line feed ends a line. Corpora hold U+2028 and carriage returns *inside* sentences,
    where Python's universal newlines would misalign the two sides. A byte order mark at the
    start is dropped.
    """
    number = 0
    try:
        stream, _ = open_bytes(path)
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="\n") as text:
            for line in text:
                number += 1
                if "\0" in line:
                    raise _not_text(path, number)
                yield line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise _not_text(path, number) from error
    except (*DAMAGE, OSError) as error:
        raise _damaged(path, number, error) from error


def _damaged(path: Path, number: int, error: Exception) -> UserError:
    """Error for a container that cannot be unpacked; a system error is raised as it is."""
    if isinstance(error, OSError) and error.errno is not None:  # bzip2's errors have none
        raise error
    return UserError(
        f"{path} is a damaged {path.suffix} file ({error}, soon after line {number}); expected "
        f"a whole one: fetch it again"
    )


def _not_text(path: Path, number: int) -> UserError:
    """Error for bytes that are no text; in a damaged container the damage made them."""
    stream, outer = open_bytes(path)
    with stream:
        try:
            while outer is not None and stream.read(CHUNK):
                pass
        except (*DAMAGE, OSError) as error:
            return _damaged(path, number, error)
        stream.seek(0)
        return UserError(not_text(path, outer, stream))


def unfinished(path: Path) -> Path:
    """Name of a file until it is whole; files of killed calls are removed.

    The name holds host and process id, so that files of running processes stay.
    """
    owner = f".{path.name}.{socket.gethostname()}-"
    if path.parent.is_dir():
        for name in os.listdir(path.parent):
            number = name[len(owner) : -len(PART)]
            if name == f"{owner}{number}{PART}" and number.isdecimal() and not _alive(int(number)):
                (path.parent / name).unlink(missing_ok=True)
    return path.with_name(f"{owner}{os.getpid()}{PART}")


def _alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process exists, but belongs to another user
        return True
    return True


def _unwritable(paths: Sequence[Path], error: OSError) -> UserError:
    """Error with the reason why files cannot be written, and advice."""
    named = " and ".join(path.name for path in paths)
    if error.errno in NO_ROOM:
        return UserError(
            f"{paths[0].parent} has no room ({error.strerror}); expected some for "
            f"{named}: free some, and run this again"
        )
    at = f" at {error.filename}" if error.filename else ""
    return UserError(
        f"cannot write {named} in {paths[0].parent} ({error.strerror or error}{at}); expected a "
        f"folder in which you may make files: name another place, or mend this one"
    )


@contextmanager
def writing(*paths: Path) -> Iterator[None]:
    """Turn a system error of writing into a UserError of one line."""
    try:
        yield
    except OSError as error:
        raise _unwritable(paths, error) from error


@contextmanager
def with_parents(path: Path) -> Iterator[None]:
    """Make the parent folders of `path`; remove those that are still empty afterwards."""
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in missing:
            with suppress(OSError):  # the folder is used, or could not be made
                folder.rmdir()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a name for writing; the file is renamed to `path` on success, removed on failure.

    Raises:
        UserError: the file cannot be written
    """
    with writing(path), with_parents(path):
        part = unfinished(path)
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def whole_files(*paths: Path) -> Iterator[list[IO[str]]]:
    """Open text files for writing, which appear under their names on success.

    No reader sees a half-written file, and an interrupted step leaves no file. After a SIGKILL one
    stays, which the next call removes.

    Raises:
        UserError: two paths are one file, a name ends as a container's does (the text is plain), a
            path is a folder or a device, or a file cannot be written
    """
    with writing(*paths):
        _check_names(paths)
        temporary = [unfinished(path) for path in paths]
    streams: list[IO[str]] = []
    parents = ExitStack()
    try:
        with writing(*paths):
            for path in temporary:
                parents.enter_context(with_parents(path))
                streams.append(open(path, "w", encoding="utf-8", newline="\n"))
        yield streams
        with writing(*paths):
            for stream in streams:
                stream.close()
            for part, path in zip(temporary, paths):
                os.replace(part, path)
    except OSError as error:  # an error of the block, which may be about other files
        if error.errno not in NO_ROOM:
            raise
        raise _unwritable(paths, error) from error
    finally:
        for stream in streams:
            with suppress(OSError):  # close may fail again to write the rest
                stream.close()
        for part in temporary:
            with suppress(OSError):  # the folder could not be made
                part.unlink()
        parents.close()


def _check_names(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.suffix in ENDINGS:
            raise UserError(f"{path} would hold plain text; expected a name without {path.suffix}")
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is a folder or a device; expected the name of a file")
    if len({path.resolve() for path in paths}) < len(paths):
        named = " and ".join(map(str, paths))
        raise UserError(f"{named} are one file; expected two names for two outputs")


@contextmanager
def held(folder: Path, kind: int = fcntl.LOCK_SH) -> Iterator[int]:
    """Lock a folder; yield a file descriptor that passes the lock on to a child process.

    Raises:
        UserError: another process works in the folder
    """
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, kind | fcntl.LOCK_NB)
        yield number
    except BlockingIOError as error:
        raise UserError(
            f"another process still works in {folder} (of an earlier call that was killed?); "
            f"expected none: wait for it or end it (`fuser {folder}` names it), then run this again"
        ) from error
    finally:
        os.close(number)


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Make an empty folder for unfinished output, removed afterwards.

    Its name is fixed, so that the next call removes the files of a killed one.

    Raises:
        UserError: a process of a killed call still works in the folder (see `held`), or the folder
            cannot be made
    """
    with writing(folder):
        if folder.is_dir():
            with held(folder, fcntl.LOCK_EX):
                shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
