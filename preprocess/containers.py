"""Kind of a file that is no plain UTF-8 text, by its bytes, and the command that mends it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shlex
import tarfile
import zlib
from itertools import islice
from pathlib import Path
from typing import IO, Any, Iterable, NamedTuple

SNIFFED = 512  # bytes from the start: the first block of a tar
LOOKED_AT = 100_000  # lines read after the first bad one, to tell the kind of the file
DAMAGE = (gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)

ZEROS: dict[tuple[bool, ...], str] = {  # which of four bytes are 0 in Latin letters
    (False, True, True, True): "utf-32le",
    (True, True, True, False): "utf-32be",
    (False, True, False, True): "utf-16le",
    (True, False, True, False): "utf-16be",
}


class Container(NamedTuple):
    """Format that packs other bytes."""

    name: str
    ending: str  # of the names of its files
    magic: bytes  # first bytes
    unpack: str  # command before the name of the file; with -dc it writes to standard output
    opener: Any = None  # function that opens it, where Python's library has one


CONTAINERS = (
    Container("gzip", ".gz", b"\x1f\x8b", "gzip -dc", gzip.open),
    Container("xz", ".xz", b"\xfd7zXZ\x00", "xz -dc", lzma.open),
    Container("bzip2", ".bz2", b"BZh", "bzip2 -dc", bz2.open),
    Container("zstd", ".zst", b"\x28\xb5\x2f\xfd", "zstd -dc"),
    Container("lz4", ".lz4", b"\x04\x22\x4d\x18", "lz4 -dc"),
    Container("lzip", ".lz", b"LZIP\x01", "lzip -dc"),
    Container("lzma", ".lzma", b"\x5d\x00\x00", "xz --format=lzma -dc"),
    Container("compress", ".Z", b"\x1f\x9d", "gzip -dc"),
    Container("zip", ".zip", b"PK\x03\x04", "unzip"),
    Container("zip", ".zip", b"PK\x05\x06", "unzip"),  # an empty one
    Container("7z", ".7z", b"7z\xbc\xaf\x27\x1c", "7z x"),
    Container("rar", ".rar", b"Rar!\x1a\x07", "unrar x"),
)
BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # after "BZh" and a digit: a block, or the end
TAR = Container("tar", ".tar", b"", "tar xf")
ENDINGS = {**{container.ending: container for container in (*CONTAINERS, TAR)}, ".tgz": TAR}


def container_of(start: bytes) -> Container | None:
    """Container of a file that starts with these bytes; None for others."""
    for container in CONTAINERS:
        if start.startswith(container.magic):
            if container.name != "bzip2" or start[4:10] in BZIP2_BLOCKS:
                return container
    if len(start) < SNIFFED:
        return None
    try:  # old tar archives have no magic, but a checksum of the header
        tarfile.TarInfo.frombuf(start[:SNIFFED], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return TAR


def unpacking(path: Path, outer: Container | None, inner: Container) -> str:
    """Command that unpacks `inner`, which is `path` itself or lies in its `outer` container."""
    name = shlex.quote(str(path))
    into = " > TEXT" if "-dc" in inner.unpack else ""
    if outer is None or inner is TAR:  # tar detects the compression by itself
        return f"`{inner.unpack} {name}{into}`"
    if into:
        return f"`{outer.unpack} {name} | {inner.unpack}{into}`"
    inside = shlex.quote(path.name + inner.ending)
    return f"`{outer.unpack} {name} > {inside}; {inner.unpack} {inside}`"


def wide_encoding(start: bytes) -> str | None:
    """Name of UTF-16 or UTF-32, by its byte order mark or its zeros; None for others."""
    for mark, name in (
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\x00\x00\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if start.startswith(mark):
            return name
    # of Latin letters, one of two bytes is zero, or three of four
    zeros = tuple(start[place::4].count(0) * 4 > len(start) * 0.6 for place in range(4))
    return ZEROS.get(zeros)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def advice(path: Path, outer: Container | None, lines: Iterable[bytes], number: int) -> str:
    """Advice for a file whose line `number` is not UTF-8, by the content of its other lines.

    Args:
        outer: container of the file; None: it is not packed
        lines: of the file, from its first; `LOOKED_AT` of those after line `number` are read
    """
    utf8 = bad = 0  # lines in which a byte is not ASCII
    high = False  # whether a byte is a control in Latin 1, but a sign in cp1252
    for line in islice(lines, number + LOOKED_AT):
        if not line.isascii():
            if _is_utf8(line):
                utf8 += 1
            else:
                bad += 1
                high = high or any(0x80 <= byte < 0xA0 for byte in line)
    name = shlex.quote(str(path))
    read = f"{outer.unpack} {name} | " if outer else ""
    file = "" if outer else f" {name}"
    if utf8 >= bad:
        told = "1 line is not" if bad == 1 else f"{bad} lines are not"
        return (
            f"it is UTF-8 elsewhere, {told}: mend what `{read}sed -n {number}p{file}` shows, or "
            f"take out such bytes with `{read}iconv -c -f utf-8 -t utf-8{file} > TEXT`"
        )
    kind = "cp1252" if high else "latin1"
    really = "or the encoding it really has"
    return f"mend it with `{read}iconv -f {kind} -t utf-8{file} > TEXT`, {really}"


def _first_bad(lines: Iterable[bytes]) -> tuple[int, UnicodeDecodeError | None]:
    """Number of the first line that is no text, and its error; None for a NUL byte."""
    number = 0
    for number, line in enumerate(lines, 1):
        if b"\0" in line:
            break
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            return number, error
    return number, None


def not_text(path: Path, outer: Container | None, stream: IO[bytes]) -> str:
    """Reason why a file is no text, with advice, by its unpacked bytes in `stream`."""
    wide = wide_encoding(stream.read(SNIFFED))
    stream.seek(0)
    number, error = _first_bad(stream)
    stream.seek(0)
    name = shlex.quote(str(path))
    if error is None:
        why = f"line {number} holds a NUL byte"
    else:
        byte = f"byte 0x{error.object[error.start]:02x} at place {error.start + 1} of line {number}"
        why = f"{error.reason}: {byte}"
    if wide is not None:
        read, file = (f"{outer.unpack} {name} | ", "") if outer else ("", f" {name}")
        mend = f"mend it with `{read}iconv -f {wide} -t utf-8{file} > TEXT`"
    elif error is None:
        read = f"{outer.unpack} {name} | tr" if outer else f"< {name} tr"
        mend = f"take such bytes out with `{read} -d '\\000' > TEXT`"
    else:
        mend = advice(path, outer, stream, number)
    what = "no text" if error is None and wide is None else "not UTF-8"
    return f"{path} is {what} ({why}); expected UTF-8 text: {mend}"
