"""Files that are no plain UTF-8 text: read, or refused with the command that mends them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from preprocess.text import UserError, read_lines, whole_files

TEXT = "ein Mann\nzwei Männer\n"
LINES = TEXT.splitlines()


def tar_of(content: bytes, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        header = tarfile.TarInfo("s.en")
        header.size = len(content)
        archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def old_tar_of(content: bytes) -> bytes:
    """Make a tar as before 1988: no magic, only a checksum of the header."""
    made = bytearray(tar_of(content))
    made[257:265] = bytes(8)
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    return bytes(made)


def zip_of(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("s.en", content)
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_gzip_xz_and_bzip2_are_read_under_any_name(tmp_path: Path, pack, mark: bytes) -> None:
    ending = {gzip.compress: ".gz", lzma.compress: ".xz", bz2.compress: ".bz2"}[pack]
    for name in (f"s.en{ending}", "s.en"):
        (tmp_path / name).write_bytes(pack(mark + TEXT.encode()))
        assert list(read_lines(tmp_path / name)) == LINES
    (tmp_path / "empty").write_bytes(pack(mark))
    assert list(read_lines(tmp_path / "empty")) == []
    whole = pack("".join(f"{number} men\n" for number in range(9999)).encode())
    broken = whole[:900] + bytes(byte ^ 255 for byte in whole[900:990]) + whole[990:]
    for content in (whole[:-9], broken):
        (tmp_path / "s.en").write_bytes(content)
        with pytest.raises(UserError, match="s.en is a damaged .* file .*fetch it again"):
            list(read_lines(tmp_path / "s.en"))
    (tmp_path / f"plain{ending}").write_text(TEXT)
    with pytest.raises(UserError, match=f"is not .*as its name says.*without {ending}"):
        list(read_lines(tmp_path / f"plain{ending}"))


ARCHIVES = {
    "tar.gz": (gzip.compress(tar_of(TEXT.encode())), "tar within gzip", "tar xf"),
    "tar.xz": (lzma.compress(tar_of(TEXT.encode())), "tar within xz", "tar xf"),
    "tar.bz2": (bz2.compress(tar_of(TEXT.encode())), "tar within bzip2", "tar xf"),
    "tar": (tar_of(TEXT.encode(), tarfile.GNU_FORMAT), "tar", "tar xf"),
    "old tar": (old_tar_of(TEXT.encode()), "tar", "tar xf"),
    "zip": (zip_of(TEXT.encode()), "zip", "unzip"),
    "gz.gz": (gzip.compress(gzip.compress(TEXT.encode())), "gzip within gzip", "gzip -dc "),
    "xz.gz": (gzip.compress(lzma.compress(TEXT.encode())), "xz within gzip", "gzip -dc "),
    "zip.gz": (gzip.compress(zip_of(TEXT.encode())), "zip within gzip", "gzip -dc "),
    "lzma": (lzma.compress(TEXT.encode(), lzma.FORMAT_ALONE), "lzma", "xz --format=lzma -dc"),
    "zst": (b"\x28\xb5\x2f\xfd\x24\x15\xa9", "zstd", "zstd -dc"),
    "lz4": (b"\x04\x22\x4d\x18\x64\x40\xa7", "lz4", "lz4 -dc"),
    "lz": (b"LZIP\x01\x0c\x00", "lzip", "lzip -dc"),
    "Z": (b"\x1f\x9d\x90\x65\xd2", "compress", "gzip -dc"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "7z", "7z x"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "rar", "unrar x"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_archives_are_refused_with_the_command_that_unpacks_them(tmp_path: Path, kind: str) -> None:
    content, named, command = ARCHIVES[kind]
    for name in ("s.en", f"s.{kind.replace('old ', '')}"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError) as error:
            list(read_lines(tmp_path / name))
        assert f"{name} is {named}, no text; expected UTF-8 text" in str(error.value)
        assert f"unpack it with `{command}" in str(error.value)
        assert "iconv" not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["tar.gz", "old tar", "gz.gz", "xz.gz", "lzma"])
def test_the_command_of_the_message_unpacks(tmp_path: Path, kind: str) -> None:
    if not shutil.which("xz"):
        pytest.skip("needs xz")
    (tmp_path / "an archive").write_bytes(ARCHIVES[kind][0])
    with pytest.raises(UserError) as error:
        list(read_lines(tmp_path / "an archive"))
    command = str(error.value).split("`")[1]
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True)
    made = tmp_path / ("TEXT" if "TEXT" in command else "s.en")
    assert list(read_lines(made)) == LINES


def test_text_with_a_nul_byte_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"one\n" * 200 + b"t\0wo\n")
    with pytest.raises(UserError, match=r"s is no text \(line 201 holds a NUL byte\).*tr -d") as no:
        list(read_lines(tmp_path / "s"))
    command = str(no.value).split("`")[1]
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True)
    assert list(read_lines(tmp_path / "TEXT")) == ["one"] * 200 + ["two"]


@pytest.mark.parametrize("code", ["utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_utf_16_and_utf_32_are_recognised_with_or_without_a_byte_order_mark(
    tmp_path: Path, code: str, pack
) -> None:
    (tmp_path / "s").write_bytes(pack(TEXT.encode(code)))
    with pytest.raises(UserError, match=f"s is not UTF-8 .*iconv -f {code} -t utf-8") as error:
        list(read_lines(tmp_path / "s"))
    command = str(error.value).split("`")[1]
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True)
    assert list(read_lines(tmp_path / "TEXT")) == LINES


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_a_bad_byte_is_reported_with_its_line(tmp_path: Path, pack) -> None:
    """Read UTF-8 in which one line, "Caf\\xe9" after 900 good lines, is in Latin 1."""
    good = "Grüße aus Köln\n".encode()
    (tmp_path / "s").write_bytes(pack(good * 900 + b"Caf\xe9\n" + good * 900))
    with pytest.raises(UserError) as error:
        list(read_lines(tmp_path / "s"))
    message = str(error.value)
    assert "byte 0xe9 at place 4 of line 901); expected UTF-8 text: it is UTF-8 else" in message
    assert "1 line is not" in message and "sed -n 901p" in message and "latin1" not in message
    command = message.split("`")[3]
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=False)  # iconv -c returns 1
    assert list(read_lines(tmp_path / "TEXT"))[899:902] == [
        "Grüße aus Köln",
        "Caf",
        "Grüße aus Köln",
    ]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("schön\n".encode("latin1"), "iconv -f latin1"),
        (b"plain\n" * 9 + b"Caf\xe9\n", "iconv -f latin1"),  # no other line has UTF-8 beyond ASCII
        ("5 € – schön\n".encode("cp1252"), "iconv -f cp1252"),
        ("Grüße\nKöln\n".encode() + b"\xed\xa0\x80\n", "it is UTF-8 elsewhere, 1 line is not"),
        ("Grüße\n".encode() + "Köln\nBär\n".encode("latin1"), "iconv -f latin1"),
        ("Grüße".encode()[:3], "line 1.*iconv"),  # cut within a letter
    ],
)
def test_the_advice_depends_on_the_other_lines(tmp_path: Path, line: bytes, advice: str) -> None:
    (tmp_path / "s").write_bytes(line)
    with pytest.raises(UserError, match=f"s is not UTF-8 .*{advice}"):
        list(read_lines(tmp_path / "s"))


@pytest.mark.parametrize("ending", [".gz", ".xz", ".bz2", ".zst", ".zip", ".tgz"])
def test_an_output_named_like_an_archive_is_refused(tmp_path: Path, ending: str) -> None:
    with pytest.raises(UserError, match=f"plain text; expected a name without {ending}"):
        with whole_files(tmp_path / f"out{ending}"):
            pass


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_damage_that_looks_like_bad_text_is_reported_as_damage(tmp_path: Path, pack) -> None:
    """A changed byte in the middle gives bytes that are not UTF-8, long before the checksum."""
    text = "".join(f"Grüße an {number * 7919 % 10007} Männer\n" for number in range(20000))
    packed = bytearray(pack(text.encode()))
    for place in range(len(packed) // 4, len(packed), len(packed) // 4):
        changed = packed[:]
        changed[place] ^= 0xFF
        (tmp_path / "s").write_bytes(changed)
        with pytest.raises(UserError, match="s is a damaged .* file .*: fetch it again"):
            list(read_lines(tmp_path / "s"))
    latin = pack(text.encode("latin1"))
    (tmp_path / "s").write_bytes(
        latin[: len(latin) // 2] if pack is not bz2.compress else latin[:-9]
    )
    with pytest.raises(UserError, match="s is a damaged .* file .*: fetch it again"):
        list(read_lines(tmp_path / "s"))
