"""Download, check and extraction of published archives."""

from __future__ import annotations

import fcntl
import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Iterator

import pytest

from preprocess.text import UserError
from recipes.common import archives
from recipes.common.archives import GZIP, Archive, check, download, extract

CONTENT = GZIP + (bytes(range(256)) * 2000)[2:]


def archive(content: bytes = CONTENT, url: str = "http://localhost:9/a.tgz") -> Archive:
    return Archive(url, len(content), "sha256", hashlib.sha256(content).hexdigest())


class Server(BaseHTTPRequestHandler):
    """Server of CONTENT up to byte `cut`, or of `page`; notes the range of each request."""

    ranges: list[str | None] = []
    cut: int | None = None
    resumes = True
    page: bytes | None = None

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        begin = int(asked[6:-1]) if asked and self.resumes else 0
        body = CONTENT[begin : self.cut] if self.page is None else self.page
        status = 206 if begin and self.page is None else 200
        self.send_response(416 if begin >= len(CONTENT) else status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Server, "ranges", [])
    with ThreadingHTTPServer(("localhost", 0), Server) as service:
        thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://localhost:{service.server_address[1]}/a.tgz"
        service.shutdown()
        thread.join(10)


@pytest.mark.parametrize("resumes", [True, False])
def test_an_interrupted_download_resumes(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumes: bool
) -> None:
    path = tmp_path / "downloads" / "a.tgz"
    monkeypatch.setattr(Server, "cut", 1000)
    with pytest.raises(SystemExit, match="ended after 1,000 of 512,000 bytes.*run this again"):
        download(archive(url=server), path)
    assert not path.exists()
    monkeypatch.setattr(Server, "cut", None)
    monkeypatch.setattr(Server, "resumes", resumes)
    assert download(archive(url=server), path).read_bytes() == CONTENT
    assert Server.ranges == [None, "bytes=1000-"]
    assert [file.name for file in path.parent.iterdir()] == ["a.tgz"]


def test_wrong_bytes_are_refused_and_not_resumed_from(server: str, tmp_path: Path) -> None:
    other = replace(archive(url=server), digest="0" * 64)
    with pytest.raises(SystemExit, match="came as 512,000 bytes, sha256 .* expected"):
        download(other, tmp_path / "a.tgz")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.tgz").write_bytes(CONTENT)
    with pytest.raises(SystemExit, match="is damaged or another version.*rm ") as error:
        check(other, tmp_path / "a.tgz")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="found no .*b.tgz; expected 512,000 bytes: put it there"):
        check(other, tmp_path / "b.tgz")


def test_a_file_published_shorter_than_listed_is_judged_by_its_digest(
    server: str, tmp_path: Path
) -> None:
    # A server sends nothing after its last byte, so only the digest shows a whole file.
    path, part = tmp_path / "a.tgz", tmp_path / "a.tgz.part"
    longer = replace(archive(url=server), size=len(CONTENT) + 1)
    part.write_bytes(CONTENT)
    assert download(longer, path).read_bytes() == CONTENT
    path.rename(part)
    with pytest.raises(SystemExit, match="came as 512,000 bytes, sha256 .* expected"):
        download(replace(longer, digest="0" * 64), path)
    assert Server.ranges == ["bytes=512000-"] * 2 and not list(tmp_path.iterdir())


def test_a_page_in_place_of_the_archive_is_not_kept_and_replaces_nothing(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "page", b"<html>Please log in</html>")
    path, part = tmp_path / "a.tgz", tmp_path / "a.tgz.part"
    with pytest.raises(UserError, match="begins with b'<html>Please log in.*expected a .tgz"):
        download(archive(url=server), path)
    assert not list(tmp_path.iterdir())
    part.write_bytes(CONTENT[:1000])
    with pytest.raises(UserError, match="came as another file"):
        download(archive(url=server), path)
    assert part.read_bytes() == CONTENT[:1000]
    part.write_bytes(b"<html>")  # left by an older version, which kept such pages
    monkeypatch.setattr(Server, "page", None)
    assert download(archive(url=server), path).read_bytes() == CONTENT
    assert Server.ranges == [None, "bytes=1000-", None]


def test_two_downloads_of_one_archive_do_not_write_one_file(server: str, tmp_path: Path) -> None:
    path, part = tmp_path / "a.tgz", tmp_path / "a.tgz.part"
    with open(part, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process downloads to .*a.tgz.part; expected"):
            download(archive(url=server), path)
    assert part.is_file() and Server.ranges == []
    assert download(archive(url=server), path).read_bytes() == CONTENT


def test_a_download_that_another_process_completes_is_not_written_over(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, part = tmp_path / "a.tgz", tmp_path / "a.tgz.part"
    part.write_bytes(CONTENT)
    monkeypatch.setattr(archives.fcntl, "flock", lambda *_: part.replace(path))
    with pytest.raises(UserError, match="another process downloads"):
        download(archive(url=server), path)
    assert path.read_bytes() == CONTENT and Server.ranges == []


def test_an_archive_that_has_only_an_md5_is_checked_by_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(CONTENT)
    right = Archive("x/a.tgz", len(CONTENT), "md5", hashlib.md5(CONTENT).hexdigest())
    assert check(right, path) == path
    with pytest.raises(UserError, match="is damaged or another version"):
        check(replace(right, digest="0" * 32), path)


def test_a_download_without_network_names_autoassist_data(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot download .*AUTOASSIST_DATA"):
        download(archive(), tmp_path / "a.tgz")
    assert not list(tmp_path.iterdir())


def tgz(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_extract_writes_the_named_files_and_keeps_existing_ones(tmp_path: Path) -> None:
    path = tgz(tmp_path / "a.tgz", one=b"1", two=b"2", three=b"3")
    out = tmp_path / "out"
    out.mkdir()
    (out / "two").write_bytes(b"mine")
    extract(path, ["one", "two"], out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == {"one": b"1", "two": b"mine"}
    with pytest.raises(SystemExit, match="holds no four; expected"):
        extract(path, ["four"], out)


def test_a_cut_archive_leaves_no_file(tmp_path: Path) -> None:
    path = tgz(tmp_path / "a.tgz", one=hashlib.sha512(b"x").digest() * 5000)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SystemExit, match="cannot unpack"):
        extract(path, ["one", "two"], tmp_path / "out")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SystemExit, match="cannot unpack"):
        extract(path, ["one"], tmp_path / "empty")
    assert not (tmp_path / "empty").exists() or not list((tmp_path / "empty").iterdir())
