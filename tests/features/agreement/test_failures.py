"""Failures of the command: one clear line each."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from fairseq_autoassist.cli.agreement import main
from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features.agreement import writing
from fairseq_autoassist.features.agreement.files import NAMES
from tests.support.agreement import COUNT, names_in, place, with_features, write_words
from tests.support.corpus import multi30k_pairs


def refused(words: list[Any], folder: Path, capsys: Any) -> str:
    """Run the command, which must fail with one line and write nothing; returns the line."""
    before = names_in(folder)
    assert main([*map(str, words), "--no-progress"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("autoassist-agreement: error: ")
    assert names_in(folder) == before
    return err


def no_features(data: Path) -> None:
    shutil.rmtree(data / "autoassist")


def other_text(data: Path) -> None:
    path = data / "train.en-de.de.bin"
    tokens = np.fromfile(path, "<u2")
    tokens[0] = 5 if tokens[0] != 5 else 6
    tokens.tofile(path)


def other_sizes(data: Path) -> None:
    shutil.rmtree(data)
    write_words(data, multi30k_pairs("train", COUNT, 1))
    other = with_features(data.parent / "other", multi30k_pairs("train", COUNT))
    shutil.copytree(other / "autoassist", data / "autoassist")
    shutil.rmtree(other)


def cut(data: Path) -> None:
    path = data / "train.en-de.en.bin"
    path.write_bytes(path.read_bytes()[:-2])


def cut_index(data: Path) -> None:
    path = data / "train.en-de.de.idx"
    path.write_bytes(path.read_bytes()[:-8])


def no_manifest(data: Path) -> None:
    (place(data) / "manifest.json").write_text("{")


FAILURES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no features": (no_features, "autoassist-tfidf"),
    "features damaged": (no_manifest, "autoassist-tfidf"),
    "other text of the same sizes": (other_text, "tokens of the target: found"),
    "other text": (other_sizes, "were made of other data"),
    "tokens truncated": (cut, "en.bin is damaged"),
    "index truncated": (cut_index, "de.idx is damaged"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_bad_data_is_one_line_and_writes_nothing(data: Path, capsys: Any, failure: str) -> None:
    damage, said = FAILURES[failure]
    damage(data)
    line = refused([data], data, capsys)
    assert said in line and str(data) in line


def test_a_failed_run_leaves_the_old_agreement(data: Path, capsys: Any) -> None:
    assert main([str(data), "--no-progress"]) == 0
    capsys.readouterr()
    before = [(place(data) / name).read_bytes() for name in NAMES]
    other_text(data)
    refused([data], data, capsys)
    assert [(place(data) / name).read_bytes() for name in NAMES] == before


def test_the_same_corpus_on_both_sides_is_refused(tmp_path: Path, capsys: Any) -> None:
    english = [english for english, _ in multi30k_pairs("train", 1100)]
    data = with_features(tmp_path / "bin", [(text, text) for text in english])
    line = refused([data], data, capsys)
    assert f"source and target of {data} have the same words in 100% of the pairs" in line
    assert "--source-lang" in line


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_side_without_words_is_refused(tmp_path: Path, capsys: Any, side: str) -> None:
    texts = [english for english, _ in multi30k_pairs("train", 1100)]
    pairs = [("", text) if side == "source" else (text, "") for text in texts]
    data = with_features(tmp_path / "bin", pairs)
    line = refused([data], data, capsys)
    assert f"the {side} side of {data} has no words in 1100 pairs" in line
    assert "fairseq-preprocess again" in line


def test_a_shard_without_features_is_refused(data: Path, tmp_path: Path, capsys: Any) -> None:
    """Nothing is written beside the features of the other shard."""
    other = Path(shutil.copytree(data, tmp_path / "other"))
    no_features(other)
    line = refused([f"{data}:{other}"], tmp_path, capsys)
    assert f"{data}:{other}" in line and "autoassist-tfidf" in line


def test_an_export_that_cannot_be_written_is_refused(
    data: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "none" / "file"
    line = refused([data, "--export", missing], tmp_path, capsys)
    assert f"--export {missing}: cannot write to {missing.parent} (No such file" in line
    assert "found a folder" in refused([data, "--export", tmp_path], tmp_path, capsys)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "found a device or a pipe" in refused([data, "--export", pipe], tmp_path, capsys)

    def read_only(**named: Any) -> None:  # tests may run as root, who may write anywhere
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(named["dir"]))

    monkeypatch.setattr(writing.tempfile, "TemporaryFile", read_only)
    line = refused([data, "--export", tmp_path / "file"], tmp_path, capsys)
    assert f"cannot write to {tmp_path} (Read-only file system)" in line


def test_a_read_only_folder_of_features_is_refused(
    data: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Path.mkdir

    def mkdir(path: Path, *words: Any, **named: Any) -> None:
        if place(data) in path.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        make(path, *words, **named)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    line = refused([data], data, capsys)
    assert f"cannot write to {place(data)} (Read-only" in line and "--dest FOLDER" in line


def test_a_full_disk_is_named_and_nothing_is_left(
    data: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("4096 requested and 0 written")  # as numpy says it

    monkeypatch.setattr(np, "save", full)
    line = refused([data], data, capsys)
    assert f"{place(data)}: 4096 requested and 0 written, expected room" in line


def test_an_export_onto_a_full_disk_is_refused_and_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savetxt", full)
    path = tmp_path / "prior.txt"
    with pytest.raises(FeatureError, match=f"--export {path}: No space left .*; make room"):
        writing.export(np.ones(3), path)
    assert not [*tmp_path.glob("*prior*")] and not [*tmp_path.glob(".*")]


def test_an_export_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    path = tmp_path / "prior.txt"
    path.symlink_to(tmp_path / "disk" / "scores")
    for value in ("0.5", "0.25"):
        writing.check_export(path)
        writing.export(np.array([float(value)]), path)
        assert path.is_symlink() and (tmp_path / "disk" / "scores").read_text() == f"{value}\n"
    assert names_in(tmp_path) == ["disk", "disk/scores", "prior.txt"]
