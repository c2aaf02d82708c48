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
from recipes.compare.languages import MOST_SIGNS
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
        coverage: share of the characters that get pieces; below 1 for a script of thousands, whose
            rarest become <unk>
        paged: whether several test pairs come from one page, so that pages are resampled
    """

    files: tuple[Corpus, ...]
    vocab: int
    split: Callable[[], Splits]
    langs: tuple[str, str] = LANGS
    coverage: float = 1.0
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


def multi30k() -> Splits:
    return _as_published(multi30k_pairs())


def multi30k_lower() -> Splits:
    """Multi30k in lower case, as in published scores (its own files `lc.norm.tok`)."""
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

    Valid and test are human translations that are no copies.
    """
    path = data.find(data.MSDOCS, DOWNLOADS)["cpp-docs.en-de.tsv.gz"]
    rows = list(_columns(path, read_lines(path), 5))
    pairs = normalised(Pair(row[0], row[1], row[2]) for row in rows)
    fit = [row[2] == "HT" and row[3] == "0" for row in rows]
    documents = [row[4] for row in rows]
    return finish(by_document(pairs, documents, fit, MEASURED, MEASURED), KEEP_NOISE)


def noisy() -> Splits:
    """Multi30k, with web-crawl pairs in training whose faults people have labelled."""
    path = data.find(data.PARACRAWL, DOWNLOADS)["en-de.tsv.gz"]
    rows = _columns(path, read_lines(path), 6)
    labelled, merged = distinct(normalised(Pair(row[2], row[3], row[5]) for row in rows))
    parts = multi30k_pairs()
    train = [pair._replace(label="clean") for pair in parts["train"]] + labelled
    dropped = Counter({"same pair labelled again": merged})
    return finish(Splits(train, parts["valid"], parts["test"], dropped=dropped), KEEP_NOISE)


def web() -> Splits:
    """Web-crawl pairs whose faults people have labelled, among 150,000 others, for audits alone.

    The others come from Tatoeba and documentation: the labelled ones are too few for a lexicon.
    """
    path = data.find(data.PARACRAWL, DOWNLOADS)["en-de.tsv.gz"]
    rows = _columns(path, read_lines(path), 6)
    labelled, merged = distinct(normalised(Pair(row[2], row[3], row[5]) for row in rows))
    parts = tatoeba(), msdocs()
    train = [pair for part in parts for pair in part.train[: 2 * WEB_OTHERS // 3]][:WEB_OTHERS]
    mixed = [*(pair._replace(label="") for pair in train), *labelled]
    mixed = [mixed[place] for place in shuffled(len(mixed), 3)]
    dropped = Counter({"same pair labelled again": merged})
    return finish(Splits(mixed, parts[0].valid, parts[0].test, dropped=dropped), KEEP_NOISE)


def mix(share: float | None) -> Splits:
    """Clean pairs of Tatoeba among six types of noise, as found in raw crawl.

    Args:
        share: of noise among the pairs; 0 for none, None for as much as raw ParaCrawl has
    """
    path = data.find(data.TATOEBA, DOWNLOADS)["deu-eng.zip"]
    pairs = normalised(Pair(*columns) for columns in _zipped(path, "deu.txt", 2))
    splits = by_source(pairs, MEASURED, MIX_TEST)
    measured = [*splits.valid, *splits.test]
    clean, rest = crawl.clean_and_rest(splits.train, measured)
    noise: dict[str, Pairs] = {label: [] for label in crawl.NOISE}
    if share != 0:
        path = data.find(data.MSDOCS, DOWNLOADS)["cpp-docs.en-de.tsv.gz"]
        rows = list(_columns(path, read_lines(path), 5))
        code = crawl.lines_of_code([row[0] for row in rows if row[3] == "1"])
        docs = normalised(Pair(row[0], row[1]) for row in rows if row[3] == "0")
        noise = crawl.make_noise(rest, crawl.docs_sentences(docs), code)
    train = crawl.compose(clean, noise, share)
    return finish(Splits(train, splits.valid, splits.test), KEEP_NOISE)


def mdn(corpus: Corpus, pair: str) -> Splits:
    """Documentation of the web, paired block by block with an older translation of the page.

    Split and order are as published, so neighbours stay together. The label is the edition.
    """
    files = data.find(corpus, DOWNLOADS)
    parts: dict[str, Pairs] = {}
    pages: list[str] = []
    for name in ("train", "valid", "test"):
        path = files[f"{pair}.{name}.tsv.gz"]
        rows = list(_columns(path, read_lines(path), 3))
        parts[name] = normalised(Pair(row[0], row[1], row[2].split("/")[0]) for row in rows)
        pages = [row[2] for row in rows]  # after the loop, the pages of test
    return finish(Splits(parts["train"], parts["valid"], parts["test"], pages=pages), KEEP_NOISE)


CORPORA = {
    "multi30k": Source((data.MULTI30K,), 4000, multi30k),
    "multi30k-lower": Source((data.MULTI30K,), 4000, multi30k_lower),
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
        (data.MDN_JA,), 12000, partial(mdn, data.MDN_JA, "en-ja"), ("en", "ja"), MOST_SIGNS, True
    ),
}
