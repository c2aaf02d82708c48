"""Pairs for the tests of `features/agreement`: from lists, and from real text without fairseq."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Sequence

import numpy as np

from fairseq_autoassist.features.agreement.reading import Pairs, Sentences, read_pairs
from fairseq_autoassist.features.agreement.statistics import Vocabulary, read_vocabulary
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.tfidf.build import build_features
from tests.support.corpus import SOURCE, TARGET, write_side

EOS = 2
COUNT = 1500  # pairs of a data-bin: enough for agreement to tell junk


def sentences(lists: Sequence[Sequence[int]]) -> Sentences:
    """Make one side of some pairs, from a list of pieces a sentence."""
    pieces = np.array([piece for some in lists for piece in some], dtype=np.int32)
    return Sentences(pieces, np.concatenate([[0], np.cumsum([len(some) for some in lists])]))


def pairs_of(source: Sequence[Sequence[int]], target: Sequence[Sequence[int]]) -> Pairs:
    """Make pairs, from a list of pieces a sentence."""
    return Pairs(sentences(source), sentences(target))


def lists_of(side: Sentences) -> list[list[int]]:
    """Pieces of each sentence."""
    return [side.pieces[a:b].tolist() for a, b in zip(side.offsets, side.offsets[1:])]


def write_words(folder: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    """Write an en-de data-bin whose pieces are words, at most 65,000 on a side, by frequency.

    Args:
        folder: of the data-bin, a new one
        pairs: (English, German)
    """
    folder.mkdir(parents=True)
    for number, lang in enumerate((SOURCE, TARGET)):
        lines = [pair[number].split() for pair in pairs]
        seen = Counter(word for line in lines for word in line)
        words = [word for word, _ in seen.most_common()]
        text = "".join(f"{word} {seen[word]}\n" for word in words)
        (folder / f"dict.{lang}.txt").write_text(text, encoding="utf-8")
        write_ids(folder, lang, lines, {word: 4 + n for n, word in enumerate(words)})
    return folder


def write_ids(folder: Path, lang: str, lines: Sequence[Sequence[str]], ids: dict[str, int]) -> None:
    """Write one side of an en-de data-bin, with </s> added."""
    ended = [[*(ids[word] for word in line), EOS] for line in lines]
    tokens = np.array([token for line in ended for token in line])
    sizes = np.array([len(line) for line in ended])
    write_side(folder / f"train.{SOURCE}-{TARGET}.{lang}", tokens, sizes)


def read_words(folder: Path, count: int) -> tuple[Pairs, Vocabulary]:
    """Read the first pairs of what `write_words` wrote, and its vocabulary."""
    vocabulary = read_vocabulary(folder / f"dict.{SOURCE}.txt", folder / f"dict.{TARGET}.txt")
    paths = tuple(folder / f"train.{SOURCE}-{TARGET}.{lang}" for lang in (SOURCE, TARGET))
    sizes = len(vocabulary.joint[0]), len(vocabulary.joint[1])
    return read_pairs(paths, 0, count, sizes), vocabulary


def with_features(folder: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    """Write an en-de data-bin of words, with features."""
    write_words(folder, pairs)
    build_features(str(folder), progress=False)
    return folder


def place(data_bin: Path) -> Path:
    """Folder of the features of an en-de data-bin."""
    return feature_folder(data_bin, "train", SOURCE, TARGET)


def names_in(folder: Path) -> list[str]:
    """Names of everything in a folder, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
