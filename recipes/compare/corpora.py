"""The corpora, each from its published files to splits."""

from __future__ import annotations

import io
import math
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

from preprocess.clean import Limits, parallel
from preprocess.text import UserError, read_lines
from recipes.common import data
from recipes.common.data import ROOT, Corpus
from recipes.compare.splits import (
    Pair,
    Pairs,
    Splits,
    by_document,
    by_source,
    distinct,
    finish,
    normalised,
)
from recipes.multi30k.prepare import LANGS, SPLITS

DOWNLOADS = ROOT / "runs" / "data"
MEASURED = 1000  # pairs in valid and in test, where we draw them
# noise is what the noisy corpora are for: only what cannot be trained on is dropped
KEEP_NOISE = Limits(max_ratio=math.inf)


@dataclass(frozen=True)
class Source:
    """A corpus of the comparison.

    Attributes:
        files: where it comes from
        vocab: joint SentencePiece pieces
        split: makes the splits
    """

    files: tuple[Corpus, ...]
    vocab: int
    split: Callable[[], Splits]


def multi30k_pairs() -> dict[str, Pairs]:
    """Train, valid and test as published."""
    files = data.find(data.MULTI30K, DOWNLOADS)
    return {
        ours: normalised(Pair(*sides) for sides in parallel(*_sides(files, theirs)))
        for ours, theirs in SPLITS.items()
    }


def _sides(files: dict[str, Path], name: str) -> list[Path]:
    return [files[f"{name}.{lang}.gz"] for lang in LANGS]


def multi30k() -> Splits:
    return _as_published(multi30k_pairs())


def multi30k_lower() -> Splits:
    """Multi30k in lower case, which published scores are of (its own files `lc.norm.tok`)."""
    return _as_published(
        {
            name: [Pair(pair.source.lower(), pair.target.lower()) for pair in pairs]
            for name, pairs in multi30k_pairs().items()
        }
    )


def _as_published(parts: dict[str, Pairs]) -> Splits:
    return finish(Splits(parts["train"], parts["valid"], parts["test"]), Limits())


def tatoeba() -> Splits:
    """Short clean pairs with several translations of many; split by English sentence."""
    path = data.find(data.TATOEBA, DOWNLOADS)["deu-eng.zip"]
    pairs = normalised(Pair(*columns) for columns in _zipped(path, "deu.txt", 2))
    return finish(by_source(pairs, MEASURED, MEASURED), Limits())


def _zipped(path: Path, name: str, columns: int) -> Iterator[list[str]]:
    with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
        lines = (line.rstrip("\n") for line in io.TextIOWrapper(stream, "utf-8", newline="\n"))
        yield from _columns(path, lines, columns)


def _columns(path: Path, lines: Iterator[str], columns: int) -> Iterator[list[str]]:
    for number, line in enumerate(lines, 1):
        found = line.split("\t")
        if len(found) != columns:
            raise UserError(
                f"{path}, line {number}: found {len(found)} columns, expected {columns}; "
                f"fetch it again"
            )
        yield found


def msdocs() -> Splits:
    """Documentation, mostly machine-translated, with untranslated copies: both stay in training.

    Measured on are human translations that are no copies.
    """
    path = data.find(data.MSDOCS, DOWNLOADS)["cpp-docs.en-de.tsv.gz"]
    rows = list(_columns(path, read_lines(path), 5))
    pairs = normalised(Pair(row[0], row[1], row[2]) for row in rows)
    fit = [row[2] == "HT" and row[3] == "0" for row in rows]
    documents = [row[4] for row in rows]
    return finish(by_document(pairs, documents, fit, MEASURED, MEASURED), KEEP_NOISE)


def noisy() -> Splits:
    """Multi30k, with web-crawl pairs whose faults people have labelled mixed into training."""
    path = data.find(data.PARACRAWL, DOWNLOADS)["en-de.tsv.gz"]
    rows = _columns(path, read_lines(path), 6)
    labelled, merged = distinct(normalised(Pair(row[2], row[3], row[5]) for row in rows))
    parts = multi30k_pairs()
    train = [pair._replace(label="clean") for pair in parts["train"]] + labelled
    dropped = Counter({"same pair labelled again": merged})
    return finish(Splits(train, parts["valid"], parts["test"], dropped=dropped), KEEP_NOISE)


CORPORA = {
    "multi30k": Source((data.MULTI30K,), 4000, multi30k),
    "multi30k-lower": Source((data.MULTI30K,), 4000, multi30k_lower),
    "tatoeba": Source((data.TATOEBA,), 6000, tatoeba),
    "msdocs": Source((data.MSDOCS,), 8000, msdocs),
    "noisy": Source((data.MULTI30K, data.PARACRAWL), 6000, noisy),
}
