"""Search, reading and cleaning of WMT14's corpus, on a stand-in of the same layout."""

from __future__ import annotations

import errno
import functools
from pathlib import Path
from unittest import mock

import pytest
from sacrebleu.dataset.fake_sgml import FakeSGMLDataset

from preprocess.text import UserError
from recipes.wmt14_en_de import corpus as wmt14
from recipes.wmt14_en_de import standin
from recipes.wmt14_en_de.prepare import check_lines, plan, sentencepiece, spread, text
from recipes.wmt14_en_de.settings import SCALES
from recipes.wmt14_en_de.standin import pack, sgm

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


@pytest.mark.parametrize("content", ["", "[]", '{"archives": {"a.tgz": 1}}', '{"archives": {}}'])
def test_a_damaged_stand_in_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / wmt14.STAND_IN_LIST).write_text(content)
    with pytest.raises(UserError, match=r"stand-in.json is damaged \(.*standin --out") as error:
        wmt14.stand_in(tmp_path)
    assert "\n" not in str(error.value)


def test_a_stand_in_that_cannot_be_written_leaves_the_old_archives_alone(
    small: wmt14.Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The old archives stay whole; their list is removed.
    folder = tmp_path / "stand-in"
    before = {name: (folder / name).read_bytes() for name in small.archives}
    parts = dict.fromkeys(wmt14.PARTS, PAIRS * 9)
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(standin.tarfile.TarFile, "addfile", mock.Mock(side_effect=full))
    with pytest.raises(UserError, match="stand-in has no room .*some for dev.tgz"):
        pack(parts, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(UserError, match=rf"found no .*standin --out {folder}`"):
        wmt14.stand_in(folder)


@pytest.mark.parametrize("content", [None, b"cut"])
def test_a_missing_or_changed_archive_of_a_stand_in_is_refused(
    small: wmt14.Corpus, tmp_path: Path, content: bytes | None
) -> None:
    folder, location = tmp_path / "stand-in", wmt14.locate(small, tmp_path / "none")
    (folder / "dev.tgz").unlink()
    if content is not None:
        (folder / "dev.tgz").write_bytes(content)
    told = rf"dev.tgz.* expected .* bytes.* write it again with `.*standin --out {folder}`"
    with pytest.raises(UserError, match=told) as error:
        wmt14.collect(small, location, tmp_path / "raw")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=told):
        plan(small, location, tmp_path / "out", "paper", SCALES["tiny"])


@pytest.mark.parametrize("pairs", ["-3", "9"])
def test_a_stand_in_of_too_few_pairs_is_refused(tmp_path: Path, pairs: str) -> None:
    with pytest.raises(UserError, match=f"--pairs is {pairs}; expected 10 or more"):
        standin.main(["--out", str(tmp_path / "out"), f"--pairs={pairs}"])
    assert not (tmp_path / "out").exists()


def test_archives_become_clean_text(small: wmt14.Corpus, tmp_path: Path) -> None:
    location = wmt14.locate(small, tmp_path / "none")
    wmt14.collect(small, location, tmp_path / "raw")
    text(small, tmp_path / "raw", tmp_path / "text")
    train = (tmp_path / "text" / "train.en").read_text(encoding="utf-8")
    assert train == "A man &amp; a dog .\nYes , he can .\n" * 3
    assert (tmp_path / "text" / "valid.de").read_text(encoding="utf-8").count("\n") == 2
    assert (tmp_path / "text" / "test.de").read_text(encoding="utf-8").startswith("Ein Mann &amp;")
    # A second call extracts nothing, so the archives may be gone.
    for name in small.archives:
        (location.folder / name).unlink()
    wmt14.collect(small, location, tmp_path / "raw")


def test_another_number_of_lines_than_published_is_refused(small: wmt14.Corpus) -> None:
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


def test_the_corpus_is_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_text_too_small_for_the_vocabulary_names_a_flag_of_this_recipe(tmp_path: Path) -> None:
    for lang in ("en", "de"):
        (tmp_path / f"train.{lang}").write_text("a man\n")
    with pytest.raises(UserError, match="made no spm.en.model of 42,000 .* give --scale tiny"):
        sentencepiece(tmp_path, tmp_path, SCALES["full"].vocabularies["paper"], 10)
