"""Prepare the corpora of the comparison.

    python -m recipes.compare.prepare [CORPUS ...] --out runs/compare/corpora

OUT/CORPUS then holds text/{train,valid,test,slice}.{en,de}, spm.model, and a data-bin with subsets
of these names and the features. pairs.json counts the pairs by outcome and the seconds of the
features; labels.txt has the known faults of training pairs. No file names a path of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Callable, Tuple

from fairseq_autoassist.features.manifest import FORMAT_VERSION
from fairseq_autoassist.text.binarized import BinarizedSide
from preprocess import binarize, spm
from preprocess.text import UserError, staging, whole_files
from recipes.common import agreement
from recipes.common.data import ROOT, sha256_of
from recipes.common.jsonfile import read_json
from recipes.common.steps import Steps, run_command, stoppable
from recipes.compare.corpora import CORPORA
from recipes.compare.languages import coverage_of
from recipes.compare.splits import HELD_OUT, SEED, SLICE, Splits
from recipes.multi30k.prepare import LANGS

PARTS = ("train", *HELD_OUT)
STEPS = 5
TFIDF = "fairseq_autoassist.cli.tfidf"
SECONDS = "seconds.json"  # seconds of the features, by the command's module
PAGES = "pages.txt"  # the page of each test pair, one a line
PUBLISHED = "nmt_nfkc"  # normalization, of the published results; fine for English and German
Languages = Tuple[str, str]
VERSION = 1  # of this code; a new number makes the corpora again


def write_text(splits: Splits, out: Path, langs: Languages = LANGS) -> None:
    """Write the splits, the labels of the training pairs, and the account of all pairs."""
    for part in PARTS:
        names = [out / "text" / f"{part}.{lang}" for lang in langs]
        with whole_files(*names) as (source, target):
            for pair in splits.of(part):
                source.write(pair.source + "\n")
                target.write(pair.target + "\n")
    if splits.pages:
        with whole_files(out / PAGES) as (stream,):
            stream.writelines(page + "\n" for page in splits.pages)
    labels = Counter(pair.label for pair in splits.train)
    if set(labels) == {""}:
        labels.clear()
    if labels:
        with whole_files(out / "labels.txt") as (stream,):
            stream.writelines(pair.label + "\n" for pair in splits.train)
    kept = {part: len(splits.of(part)) for part in PARTS}
    dropped = dict(sorted(splits.dropped.items()))
    account = {"read": splits.read, **kept, "dropped": dropped}
    account["labels"] = dict(sorted(labels.items()))
    with whole_files(out / "pairs.json") as (stream,):
        json.dump(account, stream, indent=2)
    print(f"{splits.read} pairs read: {kept}; dropped: {dropped or 'none'}", flush=True)


def _labels_of(out: Path) -> list[Path]:
    """The file of labels, where the corpus has one."""
    account = read_json(out / "pairs.json", missing_ok=True)
    return [out / "labels.txt"] if account.get("labels") else []


def write_data_bin(out: Path, langs: Languages = LANGS) -> None:
    """Encode, binarise, and add the slice as a further subset, which fairseq's tool cannot."""
    with staging(out / ".pieces") as pieces:
        for part in PARTS:
            for lang in langs:
                file = f"{part}.{lang}"
                spm.encode(out / "spm.model", out / "text" / file, pieces / file)
        languages = ["--source-lang", langs[0], "--target-lang", langs[1]]
        common = [*languages, "--source-model", str(out / "spm.model"), "--overwrite"]
        splits = [f"--{part}={pieces / part}" for part in ("train", "valid", "test")]
        workers = str(min(4, os.cpu_count() or 1))
        target = pieces / "data-bin"
        binarize.main([*common, *splits, "--workers", workers, "--destination", str(target)])
        other = pieces / "slice-bin"
        binarize.main([*common, f"--valid={pieces / 'slice'}", "--destination", str(other)])
        for path in other.glob("valid.*"):
            os.replace(path, target / path.name.replace("valid.", "slice.", 1))
        (target / "preprocess.log").unlink(missing_ok=True)  # it names removed folders
        shutil.rmtree(out / "data-bin", ignore_errors=True)
        os.replace(target, out / "data-bin")


def build_features(out: Path, module: str = TFIDF) -> None:
    """Run a command of the plugin on the data-bin, and add its seconds to those of the features."""
    begun = time.monotonic()
    run_command([sys.executable, "-m", module, str((out / "data-bin").resolve())], cwd=ROOT)
    path = out / SECONDS
    seconds = read_json(path, missing_ok=True)
    seconds[module.split(".")[-1]] = round(time.monotonic() - begun, 1)
    with whole_files(path) as (stream,):
        json.dump(seconds, stream)


def write_account(out: Path, langs: Languages = LANGS) -> None:
    """Complete pairs.json with the tokens of each part and the hashes of the data."""
    account = read_json(out / "pairs.json")
    account["tokens"] = {
        part: {
            lang: BinarizedSide(out / "data-bin" / f"{part}.{'-'.join(langs)}.{lang}").tokens
            for lang in langs
        }
        for part in PARTS
    }
    # not of spm.model, which holds the folder that it was trained in
    files = [out / "text" / f"{part}.{lang}" for part in PARTS for lang in langs]
    files += [out / "data-bin" / f"dict.{lang}.txt" for lang in langs]
    account["sha256"] = {path.name: sha256_of(path) for path in files}
    account["features_s"] = read_json(out / SECONDS, missing_ok=True)
    with whole_files(out / "pairs.json") as (stream,):
        json.dump(account, stream, indent=2)


def build(
    out: Path,
    settings: dict[str, object],
    vocab: int,
    split: Callable[[], Splits],
    langs: Languages = LANGS,
    paged: bool = False,
    normalization: str = PUBLISHED,
) -> None:
    """Make a corpus folder from the splits of `split`; reuse finished steps."""
    out.mkdir(parents=True, exist_ok=True)
    steps = Steps(out / "steps", STEPS)
    steps.run(
        "text",
        {"version": VERSION, "seed": SEED, "slice": SLICE, **settings},
        [out / "text", out / "pairs.json", *_labels_of(out), *([out / PAGES] if paged else [])],
        lambda: write_text(split(), out, langs),
    )
    training = [out / "text" / f"train.{lang}" for lang in langs]
    coverage = min(map(coverage_of, langs))
    pieces: dict[str, object] = {"vocab": vocab}  # no defaults: published keys stay
    if coverage != 1:
        pieces["coverage"] = coverage
    if normalization != PUBLISHED:
        pieces["normalization"] = normalization
    steps.run(
        "sentencepiece",
        pieces,
        [out / "spm.model"],
        lambda: print(
            spm.train(training, out / "spm", vocab, coverage=coverage, normalization=normalization),
            flush=True,
        ),
    )
    steps.run("data-bin", {}, [out / "data-bin"], lambda: write_data_bin(out, langs))
    steps.run(
        "features",
        {"format": FORMAT_VERSION},
        [out / "data-bin" / "autoassist"],
        lambda: build_features(out),
    )
    agreement.step(steps, out / "data-bin", langs, lambda: build_features(out, agreement.MODULE))
    write_account(out, langs)  # each time: it completes a file of the first step


def prepare(name: str, out: Path) -> None:
    """Prepare a corpus by name into OUT/NAME."""
    source = CORPORA[name]
    print(f"== {name}", flush=True)
    settings: dict[str, object] = {corpus.name: dict(corpus.sha256) for corpus in source.files}
    build(out / name, settings, source.vocab, source.split, source.langs, source.paged)


def main(arguments: list[str] | None = None) -> None:
    """Make the corpora that the command line names, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpora", nargs="*", metavar="CORPUS", help="default: all of them")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "compare" / "corpora")
    options = parser.parse_args(arguments)
    for name in options.corpora:
        if name not in CORPORA:
            raise UserError(f"found no corpus {name!r}; expected one of {', '.join(CORPORA)}")
    words = shlex.join(arguments or sys.argv[1:])
    with stoppable(f"python -m recipes.compare.prepare {words}"):
        for name in options.corpora or CORPORA:
            prepare(name, options.out)


if __name__ == "__main__":
    main()
