"""Training sets of chosen rows, for arms that filter before training.

Dictionaries, vocabulary, valid and test stay those of the whole corpus. So such a run may be
compared with the other runs on the corpus.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from fairseq_autoassist.features.agreement.files import NAMES
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.text.binarized import BinarizedSide
from preprocess.text import UserError, read_lines, staging
from recipes.common.jsonfile import read_json
from recipes.compare.arms import ARMS
from recipes.compare.languages import languages_of
from recipes.compare.matrices import Run
from recipes.crawl.mix import OKAY

ROWS = "rows.npy"  # in a run's folder: numbers of the corpus' rows that it trains on, int64
LIKELY = 0.5  # least posterior of a pair that is kept


def prior_files(corpus: Path) -> list[Path]:
    """Files of agreement for a corpus, in the order of `NAMES`: the prior, about it, bins.

    Raises:
        UserError: one of them is missing
    """
    data_bin = corpus / "data-bin"
    folder = feature_folder(data_bin, "train", *languages_of(data_bin))
    for name in NAMES:
        if not (folder / name).is_file():
            raise UserError(
                f"found no {name} in {folder}; expected what autoassist-agreement writes: run "
                f"`python -m recipes.compare.prepare {corpus.name} --out {corpus.parent}`"
            )
    return [folder / name for name in NAMES]


def evidence(run: Run, corpus: Path) -> list[Path]:
    """Files beside the text that a run's choice depends on, and its key with it."""
    arm = ARMS[run.arm]
    files = prior_files(corpus) if arm.reads_prior else []
    files = [path for path in files if path.suffix != ".json"]  # it holds a version number
    return [*files, *([_labels(corpus)] if arm.rows == "okay" else [])]


def _labels(corpus: Path) -> Path:
    path = corpus / "labels.txt"
    if not path.is_file():
        raise UserError(
            f"found no {path}; expected a label for each training pair: an oracle is for a mix, "
            f"mix77 say"
        )
    return path


def chosen(kind: str, corpus: Path) -> np.ndarray:
    """Row numbers that are trained on, int64, rising.

    Args:
        kind: `Arm.rows`: "okay" or "posterior"
    """
    if kind == "okay":
        mask = np.array([label == OKAY for label in read_lines(_labels(corpus))])
    else:
        prior, about, _ = prior_files(corpus)
        power = float(read_json(about)["power"])
        mask = np.fromfile(prior, dtype="<f4") > LIKELY**power
    rows = np.flatnonzero(mask)
    if not len(rows):
        raise UserError(
            f"found no pair of {corpus} that is {kind}; expected some: choose another arm for it"
        )
    return rows


def write_side(side: BinarizedSide, rows: np.ndarray, prefix: Path) -> None:
    """Write some sentences of one side as fairseq's mmap format.

    Args:
        rows: their numbers, rising
        prefix: of the new files, without .idx and .bin
    """
    import torch
    from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

    tokens, offsets = side.read(0, len(side.sizes))
    builder = MMapIndexedDatasetBuilder(f"{prefix}.bin", dtype=side.dtype.type)
    for row in rows:
        builder.add_item(torch.from_numpy(tokens[offsets[row] : offsets[row + 1]].astype("<i8")))
    builder.finalize(f"{prefix}.idx")


def write_data_bin(corpus: Path, rows: np.ndarray, target: Path) -> None:
    """Write a data-bin with some of the training rows and all other files of the corpus."""
    data_bin = corpus / "data-bin"
    langs = languages_of(data_bin)
    with staging(target.with_name(f".{target.name}")) as made:
        for path in data_bin.iterdir():
            if path.is_file() and not path.name.startswith("train."):
                shutil.copyfile(path, made / path.name)
        for lang in langs:
            name = f"train.{'-'.join(langs)}.{lang}"
            write_side(BinarizedSide(data_bin / name), rows, made / name)
        os.replace(made, target)


def training_data(run: Run, corpus: Path, folder: Path) -> Path:
    """Data-bin that a run trains on: the corpus' own, or one in the run's folder."""
    kind = ARMS[run.arm].rows
    if not kind:
        return corpus / "data-bin"
    target = folder / "data-bin"
    if not (target.is_dir() and (folder / ROWS).is_file()):
        rows = chosen(kind, corpus)
        np.save(folder / ROWS, rows)
        shutil.rmtree(target, ignore_errors=True)
        write_data_bin(corpus, rows, target)
    return target


def corpus_rows(folder: Path) -> np.ndarray | None:
    """Row of the corpus for each pair id of a run's trace; None where they are the same."""
    path = folder / ROWS
    return np.load(path) if path.is_file() else None
