"""Failures of the command: one clear line each, and no partial or false output after a kill."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from fairseq_autoassist.cli.agreement import main
from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features.agreement import writing
from fairseq_autoassist.features.agreement.files import NAMES, Agreement
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.tfidf.build import build_features
from tests.support.agreement import write_words
from tests.support.corpus import ROOT, multi30k_pairs
from tests.support.processes import alive, children, wait_for

CLI = [sys.executable, "-m", "fairseq_autoassist.cli.agreement"]
COUNT = 1500


def with_features(folder: Path, pairs: list[tuple[str, str]]) -> Path:
    """Data-bin of words, with features."""
    write_words(folder, pairs)
    build_features(str(folder), progress=False)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_features(tmp_path_factory.mktemp("made") / "bin", multi30k_pairs("train", COUNT))


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """Copy of the data-bin that a test may break."""
    return Path(shutil.copytree(made, tmp_path / "bin"))


def place(data_bin: Path) -> Path:
    return feature_folder(data_bin, "train", "en", "de")


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


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


def started(data: Path, *words: str) -> subprocess.Popen:
    """Start the command in a process group of its own; returns once it has drawn its sample."""
    command = [*CLI, str(data), "--no-progress", *words]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)

    def learns() -> bool:
        assert process.poll() is None
        return any(place(data).glob(".agreement.tmp-*/weights.npy"))

    try:
        wait_for(learns, 120, "the command to learn")
    except BaseException:
        end(process)
        raise
    return process


def end(process: subprocess.Popen) -> None:
    """Kill what is left of the command."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate(timeout=20)


def without_tracker(said: str) -> str:
    """Leave out warnings of joblib's tracker, which removes a folder itself on a loaded machine."""
    tracker = re.compile(r".*resource_tracker.*\n( *warnings\.warn\(.*\n)?")
    return tracker.sub("", said)


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGTERM, 1), (signal.SIGKILL, 1), (signal.SIGTERM, 2)]
)
def test_a_command_killed_while_it_learns_leaves_no_agreement(
    data: Path, number: signal.Signals, workers: int
) -> None:
    before = names_in(data)
    process = started(data, "--workers", str(workers))
    try:
        mine = children(process.pid)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        wait_for(lambda: not any(map(alive, mine)), 30, "workers to end")
    finally:
        end(process)
    ruins = [name for name in names_in(data) if name not in before]
    if number == signal.SIGTERM:
        assert process.returncode == 143 and ruins == []
        assert without_tracker(said) == "autoassist-agreement: stopped by SIGTERM\n"
        return
    assert process.returncode == -signal.SIGKILL and any(".agreement.tmp-" in n for n in ruins)
    assert Agreement.open(place(data), "again") is None  # no file of it is found
    assert main([str(data), "--no-progress"]) == 0
    new = [Path(name).name for name in names_in(data) if name not in before]
    assert sorted(new) == sorted([*NAMES, "agreement.png"])


KILLED = """
import os, signal, sys, types
from fairseq_autoassist.cli import agreement
from fairseq_autoassist.features.agreement import writing
renames = []
def replace(*paths):
    if len(renames) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    renames.append(os.replace(*paths))
writing.os = types.SimpleNamespace(replace=replace)
agreement.main([sys.argv[1], "--no-progress"])
"""


@pytest.mark.parametrize("renames", [0, 2])
def test_a_command_killed_while_it_publishes_leaves_what_is_refused(
    tmp_path: Path, renames: int
) -> None:
    """Half of an agreement is refused in one line, and the next run makes it whole."""
    data = with_features(tmp_path / "bin", multi30k_pairs("train", 300))
    assert main([str(data), "--no-progress"]) == 0
    wanted = names_in(data)
    command = [sys.executable, "-c", KILLED, str(data), str(renames)]
    run = subprocess.run(command, cwd=ROOT, timeout=120, capture_output=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert len(list(place(data).glob(".agreement.tmp-*"))) == 1
    with pytest.raises(FeatureError, match="is not whole.*again") as caught:
        Agreement.open(place(data), "again")
    assert "\n" not in str(caught.value)
    assert main([str(data), "--no-progress"]) == 0
    assert names_in(data) == wanted
    opened = Agreement.open(place(data), "again")
    assert opened is not None
    opened.check_sizes()
