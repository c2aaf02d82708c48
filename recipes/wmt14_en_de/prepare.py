"""Prepare WMT14 English-German: from the public archives to a fairseq data-bin with features.

    python -m recipes.wmt14_en_de.prepare --vocab paper [--dry-run]

OUT/raw gets the files of the archives, OUT/text the clean text. OUT/paper or OUT/joint gets
SentencePiece models, pieces/, and data-bin/ with the features in it. The same command resumes an
interrupted step.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Iterator

from tqdm import tqdm

from fairseq_autoassist.features.manifest import FORMAT_VERSION
from preprocess import spm
from preprocess.clean import Report, clean_files, clean_pairs, parallel
from preprocess.text import UserError, read_lines, whole_files
from recipes.common.data import ROOT
from recipes.common.plan import Cost, DryRun, check_disk, same_disk
from recipes.common.steps import Steps, run_command, stoppable
from recipes.common.waiting import run_with_clock
from recipes.wmt14_en_de.corpus import (
    PARTS,
    TRAIN,
    WMT14,
    Corpus,
    Location,
    check_archive,
    check_outside,
    collect,
    locate,
    segments,
    stand_in,
    to_download,
)
from recipes.wmt14_en_de.settings import LANGS, PIECE_LIMITS, SCALES, TEXT_LIMITS, Scale, Vocabulary

OUT = ROOT / "runs" / "wmt14_en_de"
DOWNLOADS = ROOT / "runs" / "data" / "wmt14_en_de"
SPLITS = ("train", "valid", "test")
STEPS = 6

# Bytes on disk and seconds per training pair before cleaning. They were measured on a stand-in (see
# the README) and scaled by bytes of text, of which WMT14 has about 300 per pair.
COSTS = {
    "raw": (300, 13e-6),
    "text": (300, 9e-6),
    "sentencepiece": (1, 127e-6),
    "pieces": (880, 63e-6),  # the text before the last cleaning and after it
    "data-bin": (180, 184e-6),
    "features": (411, 13e-6),
}


def models(folder: Path, vocabulary: Vocabulary) -> tuple[Path, Path]:
    """Return the SentencePiece models of source and target, the same if the vocabulary is joint."""
    if vocabulary.target is None:
        return folder / "spm.model", folder / "spm.model"
    return folder / "spm.en.model", folder / "spm.de.model"


def check_lines(name: str, found: int, corpus: Corpus) -> None:
    """Raise UserError for a part whose files have another number of lines than the published."""
    expected = corpus.lines[name]
    if found != expected:
        raise UserError(
            f"{' and '.join(PARTS[name].files)} hold {found:,} lines; expected {expected:,}: take "
            f"the files out of the published archives again (remove OUT/raw, or mend the folder "
            f"in AUTOASSIST_DATA)"
        )


def text(corpus: Corpus, raw: Path, folder: Path) -> None:
    """Clean the training pairs; valid and test stay as published."""
    with whole_files(*[folder / f"train.{lang}" for lang in LANGS]) as (left, right):
        for name, part in TRAIN.items():
            report = Report()
            pairs = parallel(raw / part.source, raw / part.target)
            bar = tqdm(pairs, total=corpus.lines[name], desc=name, unit=" pairs", unit_scale=True)
            for source, target in clean_pairs(bar, TEXT_LIMITS, report):
                left.write(source + "\n")
                right.write(target + "\n")
            print(f"{name}: {report}", flush=True)
            check_lines(name, report.seen, corpus)
    for split, name, read in (
        ("valid", "newstest2013", read_lines),
        ("test", "newstest2014", segments),
    ):
        for lang, file in zip(LANGS, PARTS[name].files):
            lines = list(read(raw / file))
            check_lines(name, len(lines), corpus)
            with whole_files(folder / f"{split}.{lang}") as (stream,):
                stream.writelines(line + "\n" for line in lines)


def spread(path: Path, count: int) -> Iterator[str]:
    """Yield at most `count` lines of a file, evenly spread over it."""
    total = sum(1 for _ in read_lines(path))
    kept = 0
    for number, line in enumerate(read_lines(path)):
        if number * min(count, total) >= kept * total:
            kept += 1
            yield line


def sentencepiece(texts: Path, folder: Path, vocabulary: Vocabulary, lines: int) -> None:
    """Train one SentencePiece model for each language, or one for both.

    A clock shows the elapsed time, since SentencePiece prints nothing for minutes.

    Raises:
        UserError: SentencePiece fails
    """
    samples = {}
    for lang in LANGS:
        samples[lang] = folder / f"sample.{lang}"
        with whole_files(samples[lang]) as (stream,):
            stream.writelines(line + "\n" for line in spread(texts / f"train.{lang}", lines))
    jobs = [(models(folder, vocabulary)[0], vocabulary.source, list(LANGS))]
    if vocabulary.target is not None:
        jobs[0] = (*jobs[0][:2], [LANGS[0]])
        jobs.append((models(folder, vocabulary)[1], vocabulary.target, [LANGS[1]]))
    for model, size, langs in jobs:
        command = [sys.executable, "-m", "preprocess.spm", "train", "--vocab", str(size)]
        command += ["--normalization", vocabulary.normalization]
        command += ["--model", str(model.with_suffix("").resolve()), "--input"]
        command += [str(samples[lang].resolve()) for lang in langs]
        try:
            run_with_clock(f"{model.name}: {size:,} pieces", command, ROOT)
        except UserError as error:  # its message names its own --vocab, not this script's
            raise UserError(
                f"SentencePiece made no {model.name} of {size:,} pieces, for the reason above; "
                f"where the text is too small for them, give --scale tiny"
            ) from error
    for path in samples.values():
        path.unlink()


def pieces(texts: Path, folder: Path, vocabulary: Vocabulary) -> None:
    """Encode every split that is not encoded yet; drop training pairs by their number of pieces."""
    output = folder / "pieces"
    for lang, model in zip(LANGS, models(folder, vocabulary)):
        for split in SPLITS:
            target = output / f"{'all' if split == 'train' else split}.{lang}"
            if not target.is_file():
                spm.encode(model, texts / f"{split}.{lang}", target)
    every = [output / f"all.{lang}" for lang in LANGS]
    kept = [output / f"train.{lang}" for lang in LANGS]
    report = clean_files(every[0], every[1], kept[0], kept[1], PIECE_LIMITS)
    print(f"train, in pieces: {report}", flush=True)
    for path in every:
        path.unlink()


def data_bin(folder: Path, vocabulary: Vocabulary, workers: int) -> None:
    """Binarise with fairseq-preprocess."""
    command = [sys.executable, "-m", "preprocess.binarize", "--overwrite"]
    command += ["--source-lang", LANGS[0], "--target-lang", LANGS[1], "--workers", str(workers)]
    for split in SPLITS:
        command += [f"--{split}", str((folder / "pieces" / split).resolve())]
    source, target = models(folder, vocabulary)
    command += ["--source-model", str(source.resolve())]
    if target != source:
        command += ["--target-model", str(target.resolve())]
    run_with_clock(
        "binarize", [*command, "--destination", str((folder / "data-bin").resolve())], ROOT
    )


def prepare(
    corpus: Corpus,
    location: Location,
    out: Path,
    vocab: str,
    scale: Scale,
    workers: int,
    steps: Steps,
) -> None:
    """Do the steps that are not done yet (with `DryRun`, print them).

    Raises:
        UserError: the corpus is in the folder that the first step empties, or a step fails
    """
    raw, texts, folder = out / "raw", out / "text", out / vocab
    check_outside(corpus, location, raw)
    vocabulary = scale.vocabularies[vocab]
    steps.run(
        "raw",
        {"digests": corpus.identity, "files": found_files(location)},
        [raw],
        partial(collect, corpus, location, raw),
    )
    steps.run("text", {"limits": repr(TEXT_LIMITS)}, [texts], partial(text, corpus, raw, texts))
    source, target = models(folder, vocabulary)
    steps.run(
        f"sentencepiece-{vocab}",
        {"vocabulary": repr(vocabulary), "lines": scale.sentencepiece_lines},
        [source, target],
        partial(sentencepiece, texts, folder, vocabulary, scale.sentencepiece_lines),
    )
    steps.run(
        f"pieces-{vocab}",
        {"limits": repr(PIECE_LIMITS)},
        [folder / "pieces"],
        partial(pieces, texts, folder, vocabulary),
    )
    data = folder / "data-bin"
    steps.run(f"data-bin-{vocab}", {}, [data], partial(data_bin, folder, vocabulary, workers))
    steps.run(
        f"features-{vocab}",
        {"format": FORMAT_VERSION},
        [data / "autoassist"],
        partial(run_command, ["autoassist-tfidf", str(data.resolve())], ROOT),
    )


def found_files(location: Location) -> dict[str, list[int]]:
    """Sizes and times of extracted files of the user, which identify them."""
    if location.kind != "files":
        return {}
    stats = {name: (location.folder / name).stat() for p in PARTS.values() for name in p.files}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def plan(corpus: Corpus, location: Location, out: Path, vocab: str, scale: Scale) -> None:
    """Print every step with its state, disk and time, and check that the disk has room.

    Raises:
        UserError: the disk is too small, the corpus is in the folder that the first step empties,
            or an archive of a stand-in was changed
    """
    costs = {}
    for step, (size, seconds) in COSTS.items():
        name = step if step in ("raw", "text") else f"{step}-{vocab}"
        costs[name] = Cost(size * corpus.pairs, seconds * corpus.pairs / 60)
    print(f"corpus: {location}; {corpus.pairs:,} training pairs", flush=True)
    steps = DryRun(out / "steps", STEPS, costs)
    prepare(corpus, location, out, vocab, scale, 1, steps)
    if "raw" in steps.to_do and location.folder == corpus.folder:
        for name in corpus.archives:  # a stand-in's are small; WMT14's would take minutes
            check_archive(corpus, name, location.folder)
    missing = to_download(corpus, location) if "raw" in steps.to_do else 0
    if missing and same_disk(out, location.folder):
        check_disk(out, missing + steps.disk, f"the downloads and what is to do in {out}")
        return
    check_disk(out, steps.disk, f"what is to do in {out}")
    if missing:
        check_disk(
            location.folder,
            missing,
            "the downloads",
            "fetch the archives elsewhere and name their folder in AUTOASSIST_DATA",
        )


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument(
        "--vocab",
        choices=["paper", "joint"],
        default="paper",
        help="paper: 42k source and 40k target pieces; joint: 32k for both (default: %(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan, check the disk")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="of fairseq-preprocess")
    parser.add_argument("--stand-in", type=Path, help="folder of standin.py, in place of WMT14")
    parser.add_argument("--scale", choices=sorted(SCALES), default="full", help="tiny: to try it")
    options = parser.parse_args(arguments)
    if options.stand_in and options.out == OUT:
        parser.error("--stand-in: expected an --out of its own, not the folder of WMT14")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Write the data-bin and its features; with --dry-run print the plan."""
    options = options_of(arguments)
    corpus = stand_in(options.stand_in) if options.stand_in else WMT14
    location = locate(corpus, DOWNLOADS)
    out, vocab, scale = options.out, options.vocab, SCALES[options.scale]
    if options.dry_run:
        plan(corpus, location, out, vocab, scale)
        return
    words = shlex.join(arguments or sys.argv[1:])
    with stoppable(f"python -m recipes.wmt14_en_de.prepare {words}"):
        prepare(corpus, location, out, vocab, scale, options.workers, Steps(out / "steps", STEPS))


if __name__ == "__main__":
    main()
