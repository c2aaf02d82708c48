"""Multi30k from text to a fairseq data-bin, step by step.

    python -m recipes.multi30k.prepare --out runs/multi30k

The outputs are OUT/text (clean text), OUT/spm.model (one vocabulary for both languages), OUT/pieces
(encoded text) and OUT/data-bin.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from preprocess import binarize, spm
from preprocess.clean import Limits, clean_files
from preprocess.text import read_lines, whole_files
from recipes.common.data import MULTI30K, ROOT, find
from recipes.common.steps import Steps, stoppable

LANGS = ("en", "de")
VOCAB = 4000  # pieces: enough for 29,000 captions; on a CPU the softmax is half the cost
NORMALIZATION = "nmt_nfkc"  # of the published results; lossless for English and German
SPLITS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}  # ours -> the corpus's
STEPS = 4


def text(out: Path) -> None:
    """Clean the training pairs; unpack valid and test as they are."""
    files = find(MULTI30K, downloads=ROOT / "runs" / "data")
    folder = out / "text"
    report = clean_files(
        files["train.en.gz"],
        files["train.de.gz"],
        folder / "train.en",
        folder / "train.de",
        Limits(),
    )
    print(f"train: {report}", flush=True)
    for split in ("valid", "test"):
        for lang in LANGS:
            with whole_files(folder / f"{split}.{lang}") as (stream,):
                lines = read_lines(files[f"{SPLITS[split]}.{lang}.gz"])
                stream.writelines(line + "\n" for line in lines)


def pieces(out: Path) -> None:
    """Encode every split with the trained model."""
    for split in SPLITS:
        for lang in LANGS:
            name = f"{split}.{lang}"
            spm.encode(out / "spm.model", out / "text" / name, out / "pieces" / name)


def data_bin(out: Path) -> None:
    """Binarise with fairseq-preprocess."""
    arguments = ["--source-lang", LANGS[0], "--target-lang", LANGS[1], "--workers", "2"]
    for split in SPLITS:
        arguments += [f"--{split}", str(out / "pieces" / split)]
    arguments += ["--source-model", str(out / "spm.model"), "--overwrite"]
    binarize.main([*arguments, "--destination", str(out / "data-bin")])


def prepare(out: Path, steps: Steps) -> None:
    """Do the steps that are not done yet."""
    training = [out / "text" / f"train.{lang}" for lang in LANGS]
    steps.run(
        "text",
        {"corpus": dict(MULTI30K.sha256), "limits": repr(Limits())},
        [out / "text"],
        lambda: text(out),
    )
    steps.run(
        "sentencepiece",
        {"vocab": VOCAB, "normalization": NORMALIZATION},
        [out / "spm.model"],
        lambda: print(
            spm.train(training, out / "spm", VOCAB, normalization=NORMALIZATION), flush=True
        ),
    )
    steps.run("pieces", {}, [out / "pieces"], lambda: pieces(out))
    steps.run("data-bin", {}, [out / "data-bin"], lambda: data_bin(out))


def main(arguments: list[str] | None = None) -> None:
    """Write the data-bin and its features, with all steps before them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "multi30k")
    out: Path = parser.parse_args(arguments).out
    with stoppable("python -m recipes.multi30k.prepare " + shlex.join(arguments or sys.argv[1:])):
        prepare(out, Steps(out / "steps", STEPS))


if __name__ == "__main__":
    main()
