"""Download, check and unpack published archives (.tgz).

Archives are large, unlike the files of `data.py`. So an interrupted download resumes, and files are
extracted one at a time; each appears when it is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import tarfile
import urllib.request
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Iterator, Sequence
from urllib.error import HTTPError

from tqdm import tqdm

from preprocess.text import UserError, unfinished
from recipes.common.data import CHUNK, TIMEOUT, Corpus, local_folder

GZIP = b"\x1f\x8b"  # first bytes of a .tgz; the login page of a network has others


@dataclass(frozen=True)
class Archive:
    """A published .tgz, with its size and digest."""

    url: str
    size: int  # bytes, also for the estimate of a dry run
    algorithm: str  # name in hashlib of the published digest's algorithm
    digest: str  # hexadecimal

    @property
    def name(self) -> str:
        """File name, the last part of the URL."""
        return self.url.rsplit("/", 1)[1]


def digest_of(path: Path, algorithm: str) -> str:
    """Return the hexadecimal digest of a file's bytes, with a progress bar."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as stream, _bar(path.stat().st_size, f"check {path.name}") as bar:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()


def check(archive: Archive, path: Path, mend: str | None = None) -> Path:
    """Return `path` if it is the published archive.

    Args:
        archive: archive with its published size and digest
        path: path of the archive on this machine
        mend: advice to the user; None: download it again

    Raises:
        UserError: the file is missing, damaged or another version
    """
    if not path.is_file():
        mend = mend or "put it there, or name another folder in AUTOASSIST_DATA"
        raise UserError(f"found no {path}; expected {archive.size:,} bytes: {mend}")
    found = digest_of(path, archive.algorithm)
    if found != archive.digest:
        mend = mend or f"remove it (`rm {shlex.quote(str(path))}`) and run this again"
        raise UserError(
            f"{path} is damaged or another version: {path.stat().st_size:,} bytes, "
            f"{archive.algorithm} {found}, expected {archive.size:,} bytes, {archive.digest}; "
            f"{mend}"
        )
    return path


def fetched(archive: Archive, corpus: Corpus, downloads: Path) -> Path | None:
    """Return the published archive, or None where the corpus is on this machine in another form.

    An archive in the folder that AUTOASSIST_DATA names comes first.

    Raises:
        UserError: AUTOASSIST_DATA names a folder with neither; or the archive is damaged, or
            cannot be downloaded
    """
    named = os.environ.get("AUTOASSIST_DATA")
    if named and (Path(named) / archive.name).is_file():
        return check(archive, Path(named) / archive.name)
    try:
        if local_folder(corpus) is not None:
            return None
    except UserError as error:
        raise UserError(f"{error}; or put {archive.name} into it, from {archive.url}") from None
    path = downloads / archive.name
    return check(archive, path) if path.is_file() else download(archive, path)


def download(archive: Archive, path: Path) -> Path:
    """Download an archive, which appears under `path` when it is complete and its digest is right.

    If the server allows it, the download resumes from `path`.part of an earlier attempt.

    Raises:
        UserError: the download is empty or incomplete, is another file, or another process is
            downloading it
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        with _alone(part):
            _fetch(archive, part)
            _check_part(archive, part)
            os.replace(part, path)
    except (HTTPException, OSError) as error:
        raise UserError(
            f"cannot download {archive.url} ({error}); run this again to resume, or fetch the "
            f"archive by other means and name its folder in AUTOASSIST_DATA"
        ) from error
    return path


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Keep other processes from the same download; an empty part is removed afterwards.

    The part itself is locked, since NFS locks only files that are open for writing.
    """
    with open(part, "ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            busy = False
        except BlockingIOError:
            busy = True
        except OSError:
            busy = False  # the file system has no locks: continue without one
        if busy or not _is_open(part, stream):
            raise UserError(
                f"another process downloads to {part}; expected none: wait for its end "
                f"(`fuser {part}` names it), then run this again"
            )
        try:
            yield
        finally:
            if part.is_file() and part.stat().st_size == 0:
                part.unlink()


def _is_open(path: Path, stream: IO[bytes]) -> bool:
    """Whether the file still has its name: another process may have finished and renamed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _check_part(archive: Archive, part: Path) -> None:
    found = digest_of(part, archive.algorithm)
    if found != archive.digest:
        size = part.stat().st_size
        part.unlink()  # resuming from wrong bytes would fail each time
        raise UserError(
            f"{archive.url} came as {size:,} bytes, {archive.algorithm} {found}, expected "
            f"{archive.size:,} bytes, {archive.digest}; it was changed on its way: run this again"
        )


def part_of(path: Path) -> Path:
    """Return the path of an unfinished download to `path`."""
    return path.with_name(path.name + ".part")


def _fetch(archive: Archive, part: Path) -> None:
    """Download the rest of `part`, up to the archive's size."""
    with open(part, "rb") as stream:
        if not _begins_well(stream.read(len(GZIP))):
            os.truncate(part, 0)  # an earlier attempt left another file
    have = part.stat().st_size
    if have >= archive.size:
        return  # the digest decides
    request = urllib.request.Request(archive.url)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if have and error.code == 416:  # the server has no more bytes: the digest decides
            return
        raise
    with response:
        if response.status != 206:  # a server (or file://) that cannot resume sends the whole file
            have = 0
        chunk = response.read(CHUNK)
        if not have and not _begins_well(chunk):  # before existing bytes are overwritten
            raise UserError(
                f"{archive.url} came as another file, which begins with {chunk[:20]!r}; expected "
                f"a .tgz: log in where your network asks for it, then run this again"
            )
        with open(part, "ab" if have or not chunk else "wb") as stream:
            with _bar(archive.size, archive.name, have) as bar:
                while chunk:
                    stream.write(chunk)
                    bar.update(len(chunk))
                    chunk = response.read(CHUNK)
    size = part.stat().st_size
    if size < archive.size and digest_of(part, archive.algorithm) != archive.digest:
        raise OSError(f"the connection ended after {size:,} of {archive.size:,} bytes")


def _begins_well(content: bytes) -> bool:
    """Whether `content` can be the start of a .tgz; no bytes at all can be."""
    return content[: len(GZIP)] == GZIP[: len(content)]


def extract(archive: Path, members: Sequence[str], folder: Path) -> None:
    """Extract files of a .tgz into `folder`, under their paths in it; existing files stay.

    Progress is counted in compressed bytes, since the archive is read from its start.

    Args:
        archive: the .tgz
        members: paths of the files in the archive
        folder: folder for the files

    Raises:
        UserError: the archive is damaged, lacks a file, or the disk is full
    """
    wanted = {name for name in members if not (folder / name).is_file()}
    if not wanted:
        return
    size = archive.stat().st_size
    try:
        with open(archive, "rb") as raw, _bar(size, f"unpack {archive.name}") as bar:
            with tarfile.open(fileobj=raw, mode="r|gz") as tar:
                for member in tar:
                    bar.update(raw.tell() - bar.n)
                    name = member.name[2:] if member.name.startswith("./") else member.name
                    stream = tar.extractfile(member) if name in wanted else None
                    if stream is None:
                        continue
                    _write_whole(stream, folder / name)
                    wanted.discard(name)
                    if not wanted:
                        break
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise UserError(
            f"cannot unpack {archive} into {folder} ({error}); expected a whole .tgz and room on "
            f"the disk: fetch the archive again, or free some space"
        ) from error
    if wanted:
        raise UserError(
            f"{archive} holds no {', '.join(sorted(wanted))}; expected all of {members}"
        )


def _write_whole(stream: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = unfinished(path)
    try:
        with open(part, "wb") as output:
            shutil.copyfileobj(stream, output, CHUNK)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _bar(total: int, title: str, initial: int = 0) -> tqdm:
    return tqdm(total=total, initial=initial, desc=title, unit="B", unit_scale=True)
