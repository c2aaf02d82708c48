"""Search for a corpus, and refusal of damaged files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from recipes.common.data import Corpus, find

TEXT = {"train.en": b"a man\n", "train.de": b"ein Mann\n"}


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Corpus at a local URL; this machine holds no other data."""
    monkeypatch.delenv("AUTOASSIST_DATA", raising=False)
    folder = tmp_path / "published"
    folder.mkdir()
    for name, content in TEXT.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in TEXT.items()}
    return Corpus("mini", folder.as_uri(), digests)


def put(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in TEXT.items():
        (folder / name).write_bytes(content)
    return folder


def search(corpus: Corpus, tmp_path: Path) -> dict[str, Path]:
    return find(corpus, downloads=tmp_path / "downloads", root=tmp_path / "checkout")


def test_a_download_is_checked_and_reused(corpus: Corpus, tmp_path: Path) -> None:
    paths = search(corpus, tmp_path)
    assert {name: path.read_bytes() for name, path in paths.items()} == TEXT
    nowhere = replace(corpus, url="file:///nowhere")
    assert search(nowhere, tmp_path) == paths


def test_shared_data_beside_the_checkout_are_found(corpus: Corpus, tmp_path: Path) -> None:
    folder = put(tmp_path / "shared" / "data" / "mini")
    assert search(corpus, tmp_path)["train.en"] == folder / "train.en"


@pytest.mark.parametrize("inside", [".", "mini"])
def test_the_named_folder_comes_first(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    put(tmp_path / "shared" / "data" / "mini")
    folder = put(tmp_path / "mine" / inside)
    monkeypatch.setenv("AUTOASSIST_DATA", str(tmp_path / "mine"))
    assert search(corpus, tmp_path)["train.en"] == folder / "train.en"


def test_a_named_folder_without_the_corpus_is_refused(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "shared" / "data" / "mini")
    monkeypatch.setenv("AUTOASSIST_DATA", str(tmp_path / "absent"))
    with pytest.raises(SystemExit, match="AUTOASSIST_DATA=.*absent holds no mini; expected"):
        search(corpus, tmp_path)


def test_a_damaged_local_file_is_refused_in_one_line(corpus: Corpus, tmp_path: Path) -> None:
    folder = put(tmp_path / "shared" / "data" / "mini")
    (folder / "train.de").write_bytes(b"ein Mast\n")
    with pytest.raises(SystemExit, match=r"train\.de is damaged .*expected .*rm ") as error:
        search(corpus, tmp_path)
    assert "\n" not in str(error.value)


def test_a_damaged_download_leaves_nothing(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "published" / "train.de").write_bytes(b"ein Ma")
    with pytest.raises(SystemExit, match=r"train\.de came as sha256"):
        search(corpus, tmp_path)
    assert [path.name for path in (tmp_path / "downloads" / "mini").iterdir()] == ["train.en"]


def test_a_download_without_network_names_autoassist_data(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="cannot download .*AUTOASSIST_DATA"):
        search(replace(corpus, url="http://localhost:9"), tmp_path)
    assert not list((tmp_path / "downloads" / "mini").iterdir())
