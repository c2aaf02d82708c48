"""WMT14's archives: fetched, checked, unpacked, read; against a stand-in of the same layout."""

from __future__ import annotations

import functools
import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Iterator

import pytest
from sacrebleu.dataset.fake_sgml import FakeSGMLDataset

from recipes.common.archives import Archive, check, download, extract
from recipes.wmt14_en_de import corpus as wmt14
from recipes.wmt14_en_de.prepare import check_lines, spread, text
from recipes.wmt14_en_de.standin import pack, sgm

CONTENT = bytes(range(256)) * 2000


def archive(content: bytes = CONTENT, url: str = "http://localhost:9/a.tgz") -> Archive:
    return Archive(url, len(content), "sha256", hashlib.sha256(content).hexdigest())


class Server(BaseHTTPRequestHandler):
    """Serves CONTENT, or as much of it as `cut` allows; notes what it was asked for."""

    ranges: list[str | None] = []
    cut: int | None = None
    resumes = True

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        begin = int(asked[6:-1]) if asked and self.resumes else 0
        body = CONTENT[begin : self.cut]
        self.send_response(206 if begin else 200)
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
def test_a_cut_download_goes_on(
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


def test_wrong_bytes_are_refused_and_not_gone_on_from(server: str, tmp_path: Path) -> None:
    other = replace(archive(url=server), digest="0" * 64)
    with pytest.raises(SystemExit, match="came as 512,000 bytes, sha256 .* expected"):
        download(other, tmp_path / "a.tgz")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.tgz").write_bytes(CONTENT)
    with pytest.raises(SystemExit, match="is damaged or another version.*rm ") as error:
        check(other, tmp_path / "a.tgz")
    assert "\n" not in str(error.value)


def test_md5_where_nothing_else_is_published(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(CONTENT)
    check(Archive("x/a.tgz", 1, "md5", hashlib.md5(CONTENT).hexdigest()), path)


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot download .*AUTOASSIST_DATA"):
        download(archive(), tmp_path / "a.tgz")


def tgz(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_extract_takes_what_is_asked_for_and_keeps_what_is_there(tmp_path: Path) -> None:
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


PAIRS = [
    ("A man &amp; a dog .", "Ein Mann &amp; ein Hund ."),
    ("Yes\r, he  can .", "Ja , er kann ."),
]


@pytest.fixture
def small(tmp_path: Path) -> wmt14.Corpus:
    empty = ("", "")
    parts = {name: [*PAIRS, empty] for name in wmt14.TRAIN}
    pack({**parts, "newstest2013": PAIRS, "newstest2014": PAIRS}, tmp_path / "stand-in")
    return wmt14.stand_in(tmp_path / "stand-in")


def test_stand_in_has_the_published_layout(small: wmt14.Corpus) -> None:
    assert set(small.archives) == set(wmt14.WMT14.archives)
    assert wmt14.WMT14.pairs == 4_520_620
    assert small.pairs == 9


def test_from_archives_to_clean_text(small: wmt14.Corpus, tmp_path: Path) -> None:
    location = wmt14.locate(small, tmp_path / "none")
    wmt14.collect(small, location, tmp_path / "raw")
    text(small, tmp_path / "raw", tmp_path / "text")
    train = (tmp_path / "text" / "train.en").read_text(encoding="utf-8")
    assert train == "A man &amp; a dog .\nYes , he can .\n" * 3
    assert (tmp_path / "text" / "valid.de").read_text(encoding="utf-8").count("\n") == 2
    assert (tmp_path / "text" / "test.de").read_text(encoding="utf-8").startswith("Ein Mann &amp;")
    # the same again takes nothing out again, from archives that are gone
    for name in small.archives:
        (location.folder / name).unlink()
    wmt14.collect(small, location, tmp_path / "raw")


def test_lines_must_be_the_published_ones(small: wmt14.Corpus) -> None:
    with pytest.raises(SystemExit, match="newstest2013.en .* hold 3 lines; expected 2"):
        check_lines("newstest2013", 3, small)


def test_segments_are_what_sacrebleu_reads(tmp_path: Path) -> None:
    path = tmp_path / "test.sgm"
    lines = ["Ein  „Test“ &amp; mehr . ", "Zwei\u2028drei"]
    path.write_text("\n".join([*sgm(lines), '<hl> <seg id="9">no</seg>']) + "\n", encoding="utf-8")
    dataset = FakeSGMLDataset("any", data=[], langpairs={})
    dataset._convert_format(str(path), str(tmp_path / "theirs"))
    theirs = (tmp_path / "theirs").read_text(encoding="utf-8").split("\n")[:-1]
    assert list(wmt14.segments(path)) == theirs and len(theirs) == 2


def put(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x\n")
    return folder


def test_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOASSIST_DATA", raising=False)
    look = functools.partial(wmt14.locate, wmt14.WMT14, tmp_path / "runs", tmp_path / "checkout")
    files = [name for part in wmt14.PARTS.values() for name in part.files]
    assert look() == wmt14.Location("download", tmp_path / "runs")
    beside = put(tmp_path / "shared" / "data" / "wmt14_en_de", list(wmt14.WMT14.archives))
    assert look() == wmt14.Location("archives", beside)
    named = put(tmp_path / "mine", files)
    monkeypatch.setenv("AUTOASSIST_DATA", str(named))
    assert look() == wmt14.Location("files", named)
    wmt14.collect(wmt14.WMT14, look(), tmp_path / "raw")
    assert (tmp_path / "raw" / files[0]).resolve() == (named / files[0]).resolve()
    (named / files[0]).unlink()
    with pytest.raises(SystemExit, match="AUTOASSIST_DATA=.*mine holds neither the archives"):
        look()


def test_a_sample_is_spread_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("".join(f"{number}\n" for number in range(10)), encoding="utf-8")
    assert list(spread(path, 5)) == ["0", "2", "4", "6", "8"]
    assert len(list(spread(path, 3))) == 3
    assert len(list(spread(path, 100))) == 10
