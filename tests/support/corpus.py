"""Tiny data-bins for tests: real text through the real fairseq-preprocess, or generated tokens."""

from __future__ import annotations

import atexit
import functools
import gzip
import os
import shutil
import struct
import tempfile
import time
from pathlib import Path
from typing import Sequence, Tuple

import numpy as np
import pytest

from tests.support.recording import preprocess_in_child
from tests.support.server import server

Pairs = Sequence[Tuple[str, str]]
ROOT = Path(__file__).resolve().parents[2]
SOURCE, TARGET = "en", "de"
TIMEOUT = 180  # seconds for fairseq-preprocess on a busy machine, with the start of the server


def data_folder() -> Path:
    """``AUTOASSIST_DATA``, or ``../shared/data`` beside the checkout; skips the test if neither."""
    named = os.environ.get("AUTOASSIST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not (folder / "multi30k" / "train.en.gz").exists():
        pytest.skip(f"needs Multi30k: set AUTOASSIST_DATA to a folder holding it (tried {folder})")
    return folder


def multi30k_pairs(
    split: str = "train", count: int = 1000, start: int = 0
) -> list[tuple[str, str]]:
    """``count`` (English, German) pairs of a split (train, val), as they stand in the files."""
    sides = []
    for lang in (SOURCE, TARGET):
        path = data_folder() / "multi30k" / f"{split}.{lang}.gz"
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            sides.append([line.rstrip("\n") for line in file][start : start + count])
    return list(zip(*sides))


def write_text(prefix: Path, pairs: Pairs) -> Path:
    """Write ``prefix.en`` and ``prefix.de``."""
    for side, lang in enumerate((SOURCE, TARGET)):
        text = "".join(pair[side] + "\n" for pair in pairs)
        Path(f"{prefix}.{lang}").write_bytes(text.encode("utf-8"))
    return prefix


def preprocess(jobs: Sequence[Sequence[object]]) -> None:
    """Run fairseq-preprocess with each of the argument lists, in one process."""
    common = ["--source-lang", SOURCE, "--target-lang", TARGET, "--workers", "1"]
    words = [common + [str(word) for word in job] for job in jobs]
    output = session_folder() / f"preprocess-{time.monotonic_ns()}"
    process = server().Process(
        target=preprocess_in_child, args=(words, str(output), dict(os.environ))
    )
    process.start()
    process.join(TIMEOUT)
    if process.exitcode != 0:
        process.kill()
        said = output.read_text(errors="replace")[-4000:] if output.exists() else ""
        raise RuntimeError(f"fairseq-preprocess failed with status {process.exitcode}: {said}")


def make_data_bin(folder: Path, train: Pairs, valid: Pairs = (), *arguments: object) -> Path:
    """Binarise sentence pairs into ``folder``; further arguments go to fairseq-preprocess."""
    folder.mkdir(parents=True, exist_ok=True)
    job: list[object] = ["--trainpref", write_text(folder / "text.train", train)]
    if valid:
        job += ["--validpref", write_text(folder / "text.valid", valid)]
    preprocess([[*job, "--destdir", folder, *arguments]])
    return folder


@functools.lru_cache(maxsize=None)
def session_folder() -> Path:
    """Folder that lives as long as the test session."""
    folder = Path(tempfile.mkdtemp(prefix="autoassist-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.lru_cache(maxsize=None)
def multi30k_data_bin(train: int = 1000, valid: int = 100) -> Path:
    """Data-bin of the first pairs of Multi30k, made once a session: copy it before changing it."""
    folder = session_folder() / f"multi30k-{train}-{valid}"
    return make_data_bin(folder, multi30k_pairs("train", train), multi30k_pairs("val", valid))


def write_data_bin(
    folder: Path, rows: int, mean_length: int = 28, seed: int = 0, vocabulary: int = 32_000
) -> Path:
    """Write the files of fairseq-preprocess for de-en: Zipf tokens, Poisson lengths, EOS last."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    cumulative = np.cumsum(1.0 / np.arange(1, vocabulary + 1))
    for lang in ("de", "en"):
        lines = "".join(f"w{i} 1\n" for i in range(vocabulary))
        (folder / f"dict.{lang}.txt").write_text(lines, encoding="utf-8")
        sizes = (rng.poisson(mean_length - 2, rows) + 2).astype("<i4")
        drawn = np.searchsorted(cumulative, rng.random(int(sizes.sum())) * cumulative[-1])
        tokens = (drawn + 4).astype("<u2")
        ends = np.cumsum(sizes, dtype="<i8")
        tokens[ends - 1] = 2  # </s>
        write_side(folder / f"train.de-en.{lang}", tokens, sizes)
    return folder


def change_text(data_bin: Path, lang: str = "de") -> None:
    """Replace some words of a side; sentences keep their lengths."""
    (path,) = data_bin.glob(f"train.*.{lang}.bin")
    tokens = np.fromfile(path, dtype="<u2")
    tokens[tokens > 4] -= 1
    tokens.tofile(path)


def write_side(prefix: Path, tokens: np.ndarray, sizes: np.ndarray) -> None:
    """Write ``prefix.idx`` and ``prefix.bin`` of uint16 tokens in fairseq's mmap format."""
    tokens.astype("<u2").tofile(f"{prefix}.bin")
    ends = np.cumsum(sizes, dtype="<i8")
    with open(f"{prefix}.idx", "wb") as index:
        index.write(struct.pack("<9sQBQ", b"MMIDIDX\x00\x00", 1, 8, len(sizes)))
        index.write(np.asarray(sizes, dtype="<i4").tobytes())
        index.write((2 * (ends - sizes)).astype("<i8").tobytes())
