"""Failures of the builder: one clear line for bad data, and no partial output after a kill."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Callable

import numpy as np
import pytest

from fairseq_autoassist.cli.tfidf import main
from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features import staging
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.store import Features
from tests.support.corpus import (
    ROOT,
    multi30k_pairs,
    preprocess,
    write_data_bin,
    write_side,
    write_text,
)
from tests.support.processes import SLOW_TFIDF

CLI = [sys.executable, "-m", "fairseq_autoassist.cli.tfidf"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_bin(tmp_path_factory.mktemp("small") / "bin", 50, vocabulary=100)


def patch(name: str, offset: int, data: bytes) -> Callable[[Path], None]:
    """Function that overwrites some bytes of a file."""

    def apply(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[offset : offset + len(data)] = data
        (folder / name).write_bytes(content)

    return apply


def cut(name: str, by: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-by]) and None


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def empty(folder: Path) -> None:
    for lang in ("de", "en"):
        write_side(folder / f"train.de-en.{lang}", np.empty(0), np.empty(0, dtype=int))


def shorter(folder: Path) -> None:
    write_side(folder / "train.de-en.en", np.full(40, 2), np.ones(40, dtype=int))


def copy_as(subset: str, pair: str = "de-en") -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for path in folder.glob("train.de-en.*"):
            shutil.copy(path, folder / path.name.replace("train.de-en", f"{subset}.{pair}"))

    return apply


def line(text: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        with open(folder / "dict.en.txt", "a", encoding="utf-8") as file:
            file.write(text)

    return apply


BIN, IDX = "train.de-en.en.bin", "train.de-en.en.idx"
FAILURES = {
    "tokens truncated": (cut(BIN, 2), [], "en.bin is damaged"),
    "tokens missing": (remove(BIN), [], "en.bin is missing"),
    "index truncated": (cut(IDX, 4), [], "en.idx is damaged"),
    "header truncated": (lambda f: (f / IDX).write_bytes(b"MMIDIDX\x00\x00\x01"), [], "header"),
    "index not fairseq's": (patch(IDX, 0, b"something"), [], "not an index of fairseq"),
    "huffman": (patch(IDX, 0, b"HUFFIDX\x00"), [], "impl huffman, expected mmap"),
    "index version": (patch(IDX, 9, b"\x07"), [], "found version 7"),
    "floats": (patch(IDX, 17, b"\x06"), [], "dtype code 6"),
    "offsets": (patch(IDX, 26 + 4 * 50 + 8, b"\xff"), [], "offsets do not match sizes"),
    "token out of range": (patch(BIN, 0, b"\xff\xff"), [], "expected 0 to 103"),
    "no sentences": (empty, [], "holds no sentences"),
    "sides differ": (shorter, [], "50 source and 40 target"),
    "no dictionary": (remove("dict.de.txt"), [], "dict.de.txt"),
    "dictionary format": (line("lonely\n"), [], "line 101: found 'lonely'"),
    "no such subset": (None, ["--train-subset", "other"], "no subset 'other'"),
    "no such languages": (None, ["-s", "fr", "-t", "en"], "no train.fr-en"),
    "two language pairs": (copy_as("train", "de-fr"), [], "say which with --source-lang"),
    "combined subsets": (copy_as("train1"), [], "also holds train1"),
    "several subsets": (None, ["--train-subset", "train,valid"], "found several subsets"),
    "several subsets, languages given": (
        None,
        ["--train-subset", "train,valid", "-s", "de", "-t", "en"],
        "found several subsets",
    ),
}


def refused(arguments: list, capsys: pytest.CaptureFixture) -> str:
    """Run the command, which must fail with one clear line; returns it."""
    assert main([*map(str, arguments), "--no-progress"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("autoassist-tfidf: error: ") and captured.err.count("\n") == 1
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize("failure", FAILURES)
def test_bad_data_is_one_line_and_writes_nothing(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture, failure: str
) -> None:
    damage, arguments, message = FAILURES[failure]
    folder = Path(shutil.copytree(small, tmp_path / "bin"))
    if damage:
        damage(folder)
    assert message in refused([folder, *arguments], capsys)
    assert not list(folder.rglob("autoassist/*"))


def test_bad_shards_are_refused(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    a, b = (Path(shutil.copytree(small, tmp_path / name)) for name in "ab")
    line("more 1\n")(b)
    assert "differs from" in refused([f"{a}:{b}"], capsys)
    assert "several shards" in refused([f"{a}:{b}", "--dest", tmp_path], capsys)
    assert "no folder" in refused([tmp_path / "none"], capsys)
    assert "DATA_BIN is empty" in refused([""], capsys)


def test_other_formats_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train = ["--trainpref", write_text(tmp_path / "text", multi30k_pairs("train", 20)), "--destdir"]
    kinds = ("raw", "cached", "lazy")
    preprocess([[*train, tmp_path / kind, "--dataset-impl", kind] for kind in kinds])
    for kind in kinds:
        message = refused([tmp_path / kind], capsys)
        assert f"--dataset-impl {'raw' if kind == 'raw' else 'lazy or cached'}" in message
        assert "fairseq-preprocess again with --dataset-impl mmap" in message


def test_a_failed_build_leaves_the_old_features(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = Path(shutil.copytree(small, tmp_path / "bin"))
    assert main([str(folder)]) == 0
    capsys.readouterr()
    patch(BIN, 0, b"\xff\xff")(folder)
    refused([folder], capsys)
    assert Features.open(feature_folder(folder, "train", "de", "en")).rows == 50


def test_command_runs_without_torch_and_fairseq(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "bin")
    code = (
        "import sys; from fairseq_autoassist.cli.tfidf import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "sys.exit(sum(name in ('torch', 'fairseq') for name in sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, folder], cwd=ROOT, timeout=60, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "weighting: 100%" in run.stderr and "50 pairs" in run.stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_build_leaves_no_features(tmp_path: Path, number: signal.Signals) -> None:
    folder = write_data_bin(tmp_path / "bin", 60_000, vocabulary=1000)
    target = feature_folder(folder, "train", "de", "en")
    builder = subprocess.Popen(
        [*SLOW_TFIDF, str(folder)],
        # a background job ignores SIGINT
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 60
        while not any(p.stat().st_size for p in target.parent.glob(".*/*/block0.data")):
            assert builder.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        builder.send_signal(number)
        _, stderr = builder.communicate(timeout=20)
    finally:
        builder.kill()
        builder.wait()
    status = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert (builder.returncode, b"Traceback" in stderr) == (status, False), stderr.decode()[-3000:]
    assert not target.exists()
    if number == signal.SIGKILL:
        assert len(list(target.parent.iterdir())) == 1
    else:
        assert not target.parent.exists()
    assert main([str(folder), "--no-progress"]) == 0
    assert list(target.parent.iterdir()) == [target]  # what SIGKILL left is gone as well
    assert Features.open(target).rows == 60_000


@pytest.mark.parametrize("exists", [False, True])
def test_for_a_read_only_data_bin_flags_are_named(small, tmp_path, monkeypatch, capsys, exists):
    data = tmp_path / "bin"
    shutil.copytree(small, data, ignore=shutil.ignore_patterns("autoassist"))
    if exists:  # made by somebody else
        (data / "autoassist").mkdir()

    make = Path.mkdir  # tests may run as root, who may write anywhere

    def mkdir(path: Path, *words: object, **named: object) -> None:
        if not path.exists() and data in path.parents:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        make(path, *words, **named)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert main([str(data)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"cannot write to {data / 'autoassist'} (Read-only" in line
    assert "--dest FOLDER" in line and "--autoassist-features FOLDER" in line
    assert main([str(data), "--dest", str(tmp_path / "mine")]) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_is_named_and_nothing_is_left(
    small: Path, tmp_path: Path, workers: str
) -> None:
    """Files may not grow beyond a few bytes: the system refuses, as it does on a full disk."""
    made = tmp_path / "made for it"
    target = made / "mine"
    words = [str(small), "--dest", str(target), "--no-progress", "--workers", workers]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # noqa: E731
    done = subprocess.run(
        [*CLI, *words], cwd=ROOT, capture_output=True, text=True, timeout=60, preexec_fn=limit
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and not made.exists()
    assert line.startswith(f"autoassist-tfidf: error: {target}: File too large, expected room")
    assert "--dest FOLDER" in line


@pytest.mark.parametrize(
    ("error", "full", "said"),
    [
        (OSError(errno.ENOSPC, "No space"), "b", "/b: No space, expected room .* written in .*/a;"),
        (OSError("100 requested and 10 written"), "a", "/a: 100 requested and 10 wri.*--dest FOL"),
        (OSError(errno.ENOSPC, "No space"), "tmp", "/tmp: No space.* temporary .*--workers 1"),
        (OSError(errno.ENOSPC, "No space", "/x/file"), "a", "^/x/file: No space, expected room"),
        (OSError(errno.EIO, "Input/output error"), "", "/a: Input/output error, expected a file"),
        (OSError(errno.EACCES, "Permission denied", "/x/y"), "", "^/x/y: Permission denied, exp"),
    ],
)
def test_an_error_of_the_system_is_named_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, full: str, said: str
) -> None:
    for name in ("a", "b", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(staging.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    free = lambda place: Namespace(free=0 if place == tmp_path / full else 2**40)  # noqa: E731
    monkeypatch.setattr(staging.shutil, "disk_usage", free)
    places = [tmp_path / "a" / "features", tmp_path / "b" / "features"]
    with pytest.raises(FeatureError, match=said) as caught:
        with staging.named_if_refused(places):
            raise error
    assert "\n" not in str(caught.value)


def test_no_room_for_the_locks_of_workers_is_named(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def lock(context: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("multiprocessing.context.SpawnContext.Lock", lock)
    words = [str(small), "--dest", str(tmp_path / "mine"), "--no-progress", "--workers"]
    assert main([*words, "2"]) == 2
    assert "/dev/shm: No space left on device, expected some room" in capsys.readouterr().err
    assert main([*words, "1"]) == 0


def test_one_worker_of_loky_is_this_process(small: Path, tmp_path: Path) -> None:
    """joblib then starts no process, so the check for a lost parent must not end the build."""
    words = [str(small), "--dest", str(tmp_path / "mine"), "--backend", "loky"]
    done = subprocess.run([*CLI, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert Features.open(tmp_path / "mine" / "train.de-en").rows == 50
