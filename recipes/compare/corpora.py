"""Corpora of the comparison, each from its published files to splits."""

from __future__ import annotations

import io
import math
import zipfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
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
    shuffled,
)
from recipes.crawl import mix as crawl
from recipes.multi30k.prepare import LANGS, SPLITS

DOWNLOADS = ROOT / "runs" / "data"
WEB_OTHERS = 165_000  # unlabelled pairs of `web`
MEASURED = 1000  # pairs in valid and in test, where they are drawn here
MIX_TEST = 2000  # pairs in the test of the mixes
# the noisy corpora keep their noise: only pairs that cannot be trained on are dropped
KEEP_NOISE = Limits(max_ratio=math.inf)


@dataclass(frozen=True)
class Source:
    """A corpus of the comparison.

    Attributes:
        files: published files that it is made of
        vocab: joint SentencePiece pieces
        split: makes the splits
        langs: source and target
        paged: whether several test pairs come from one page, so that pages are resampled
    """

    files: tuple[Corpus, ...]
    vocab: int
    split: Callable[[], Splits]
    langs: tuple[str, str] = LANGS
    paged: bool = False


def multi30k_pairs() -> dict[str, Pairs]:
    """Train, valid and test as published."""
    files = data.find(data.MULTI30K, DOWNLOADS)
    return {
        ours: normalised(Pair(*sides) for sides in parallel(*_sides(files, theirs)))
        for ours, theirs in SPLITS.items()
    }


def _sides(files: dict[str, Path], name: str) -> list[Path]:
    return [files[f"{name}.{lang}.gz"] for lang in LANGS]


def multi30k(lower: bool = False) -> Splits:
    """As published; in lower case as in published scores (its own files `lc.norm.tok`)."""
    parts = multi30k_pairs()
    if lower:
        for name, pairs in parts.items():
            parts[name] = [Pair(pair.source.lower(), pair.target.lower()) for pair in pairs]
    return finish(Splits(parts["train"], parts["valid"], parts["test"]), Limits())


def tatoeba_pairs() -> Pairs:
    """All pairs as published."""
    path = data.find(data.TATOEBA, DOWNLOADS)["deu-eng.zip"]
    with zipfile.ZipFile(path) as archive, archive.open("deu.txt") as stream:
        lines = (line.rstrip("\n") for line in io.TextIOWrapper(stream, "utf-8", newline="\n"))
        return normalised(Pair(*columns) for columns in _columns(path, lines, 2))


def tatoeba() -> Splits:
    """Short clean pairs with several translations of many; split by English sentence."""
    return finish(by_source(tatoeba_pairs(), MEASURED, MEASURED), Limits())


def _rows(corpus: Corpus, name: str, columns: int) -> list[list[str]]:
    path = data.find(corpus, DOWNLOADS)[name]
    return list(_columns(path, read_lines(path), columns))


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

    Valid and test are human translations that are no copies.
    """
    rows = _rows(data.MSDOCS, "cpp-docs.en-de.tsv.gz", 5)
    pairs = normalised(Pair(row[0], row[1], row[2]) for row in rows)
    fit = [row[2] == "HT" and row[3] == "0" for row in rows]
    documents = [row[4] for row in rows]
    return finish(by_document(pairs, documents, fit, MEASURED, MEASURED), KEEP_NOISE)


def labelled_pairs() -> tuple[Pairs, Counter]:
    """Web-crawl pairs whose faults people have labelled, and counts of dropped ones."""
    rows = _rows(data.PARACRAWL, "en-de.tsv.gz", 6)
    labelled, merged = distinct(normalised(Pair(row[2], row[3], row[5]) for row in rows))
    return labelled, Counter({"same pair labelled again": merged})


def noisy() -> Splits:
    """Multi30k, with labelled web-crawl pairs in training."""
    labelled, dropped = labelled_pairs()
    parts = multi30k_pairs()
    train = [pair._replace(label="clean") for pair in parts["train"]] + labelled
    return finish(Splits(train, parts["valid"], parts["test"], dropped=dropped), KEEP_NOISE)


def web() -> Splits:
    """Labelled web-crawl pairs among 165,000 others, for audits alone.

    The others come from Tatoeba and documentation: the labelled ones are too few for a lexicon.
    """
    labelled, dropped = labelled_pairs()
    parts = tatoeba(), msdocs()
    train = [pair for part in parts for pair in part.train[: 2 * WEB_OTHERS // 3]][:WEB_OTHERS]
    mixed = [*(pair._replace(label="") for pair in train), *labelled]
    mixed = [mixed[place] for place in shuffled(len(mixed), 3)]
    return finish(Splits(mixed, parts[0].valid, parts[0].test, dropped=dropped), KEEP_NOISE)


def mix(share: float | None) -> Splits:
    """Clean pairs of Tatoeba among six types of noise, as found in raw crawl.

    Args:
        share: of noise among the pairs; 0 for none, None for as much as raw ParaCrawl has
    """
    splits = by_source(tatoeba_pairs(), MEASURED, MIX_TEST)
    measured = [*splits.valid, *splits.test]
    clean, rest = crawl.clean_and_rest(splits.train, measured)
    noise: dict[str, Pairs] = {label: [] for label in crawl.NOISE}
    if share != 0:
        rows = _rows(data.MSDOCS, "cpp-docs.en-de.tsv.gz", 5)
        code = crawl.lines_of_code([row[0] for row in rows if row[3] == "1"])
        docs = normalised(Pair(row[0], row[1]) for row in rows if row[3] == "0")
        noise = crawl.make_noise(rest, crawl.docs_sentences(docs), code)
    train = crawl.compose(clean, noise, share)
    return finish(Splits(train, splits.valid, splits.test), KEEP_NOISE)


def mdn(corpus: Corpus, pair: str) -> Splits:
    """Documentation of the web, paired block by block with an older translation of the page.

    Split and order are as published, so neighbours stay together. The label is the edition.
    """
    files = [_rows(corpus, f"{pair}.{name}.tsv.gz", 3) for name in ("train", "valid", "test")]
    train, valid, test = (
        normalised(Pair(row[0], row[1], row[2].split("/")[0]) for row in rows) for rows in files
    )
    return finish(Splits(train, valid, test, pages=[row[2] for row in files[2]]), KEEP_NOISE)


CORPORA = {
    "multi30k": Source((data.MULTI30K,), 4000, multi30k),
    "multi30k-lower": Source((data.MULTI30K,), 4000, partial(multi30k, lower=True)),
    "tatoeba": Source((data.TATOEBA,), 6000, tatoeba),
    "msdocs": Source((data.MSDOCS,), 8000, msdocs),
    "noisy": Source((data.MULTI30K, data.PARACRAWL), 6000, noisy),
    "web": Source((data.PARACRAWL, data.TATOEBA, data.MSDOCS), 16000, web),
    "mix00": Source((data.TATOEBA,), 8000, partial(mix, 0.0)),
    "mix25": Source((data.TATOEBA, data.MSDOCS), 8000, partial(mix, 0.25)),
    "mix50": Source((data.TATOEBA, data.MSDOCS), 8000, partial(mix, 0.50)),
    "mix77": Source((data.TATOEBA, data.MSDOCS), 8000, partial(mix, None)),
    "mdn-de": Source((data.MDN_DE,), 8000, partial(mdn, data.MDN_DE, "en-de"), paged=True),
    "mdn-ja": Source(
        (data.MDN_JA,), 12000, partial(mdn, data.MDN_JA, "en-ja"), ("en", "ja"), paged=True
    ),
}
