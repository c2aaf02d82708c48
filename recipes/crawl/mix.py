"""Corpora composed like raw web crawl: clean pairs and six types of noise, with labels.

The shares are those of the audit of raw ParaCrawl by Khayrallah and Koehn (2018, Table 1): 23% of
its pairs are okay and 74% have one of these six faults. The 3% that they call "others" are left
out, so that 76% of the pairs of `mix77` are noise. The labels are for reports, never for training.

The functions are pure, on lists of pairs. Clean pairs, noise, valid and test share no sentence of
either language. Lines of code may repeat within the noise.
"""

from __future__ import annotations

import re
from typing import Callable, Iterable, Sequence

import numpy as np

from preprocess.text import UserError
from recipes.compare.splits import SEED, Pair, Pairs, shuffled

CLEAN = 40_000  # pairs, at every share of noise
OKAY = "okay"
OKAY_SHARE = 0.23  # of the pairs of raw crawl
NOISE = {  # label -> its share of the pairs of raw crawl
    "misaligned": 0.41,
    "english": 0.10,
    "german": 0.10,
    "copy": 0.04,
    "short": 0.06,
    "code": 0.03,
}
LONGEST_FRAGMENT = 3  # words
DOCS_WORDS = range(4, 26)  # words of a sentence of documentation that noise is made of
CODE = re.compile(r"[A-Za-z]_|_[A-Za-z]|::|[(){};=<>#\\]|[a-z][A-Z]|\w\.\w")
# first stream of draws here, after those of `recipes.compare.splits`
_CLEAN_DRAW, _POOL_DRAW, _CODE_DRAW, _CUT_DRAW, _TIE_DRAW, _ORDER_DRAW = range(10, 16)
_DOCS_DRAW = 16
_TYPE_DRAW = 20  # and the following ones, for the types


def amounts(share: float | None) -> dict[str, int]:
    """Number of pairs of noise beside `CLEAN` clean pairs, by label.

    Args:
        share: share of noise among all pairs, in [0, 1); None: the audit's
    """
    whole = {label: int(part * CLEAN / OKAY_SHARE) for label, part in NOISE.items()}
    if share is None:
        return whole
    wanted = CLEAN * share / (1 - share)
    return {label: int(wanted * pairs / sum(whole.values())) for label, pairs in whole.items()}


def compose(clean: Pairs, noise: dict[str, Pairs], share: float | None) -> Pairs:
    """Mix clean pairs with the noise of each type for a share, in a random order.

    The noise of a smaller share is the first part of the noise of a larger one.

    Raises:
        UserError: a type has too few pairs of noise
    """
    mixed = [pair._replace(label=OKAY) for pair in clean]
    for label, count in amounts(share).items():
        if len(noise[label]) < count:
            raise UserError(
                f"found {len(noise[label])} pairs of noise of the type {label}; expected {count}: "
                f"fetch Tatoeba and msdocs again, whole"
            )
        mixed += [pair._replace(label=label) for pair in noise[label][:count]]
    return [mixed[place] for place in shuffled(len(mixed), _ORDER_DRAW)]


def clean_and_rest(pairs: Pairs, measured: Pairs, clean: int = CLEAN) -> tuple[Pairs, Pairs]:
    """Split pairs into clean ones to train on and a rest to make noise of.

    All translations of an English sentence go to the same part. The rest shares no sentence with
    the clean pairs, valid and test.

    Args:
        pairs: pairs for training
        measured: pairs of valid and test
        clean: number of clean pairs
    """
    variants: dict[str, Pairs] = {}
    for pair in pairs:
        variants.setdefault(pair.source, []).append(pair)
    sources = list(variants)
    taken: Pairs = []
    left: Pairs = []
    for place in shuffled(len(sources), _CLEAN_DRAW):
        (taken if len(taken) < clean else left).extend(variants[sources[place]])
    taken = taken[:clean]
    used = sentences([*taken, *measured])
    return taken, [pair for pair in left if pair.source not in used and pair.target not in used]


def sentences(pairs: Iterable[Pair]) -> set[str]:
    """All sentences of either side."""
    return {side for pair in pairs for side in pair[:2]}


def docs_sentences(pairs: Pairs) -> Pairs:
    """Pairs of documentation that are sentences on both sides, in a random order."""
    found = [pair for pair in pairs if all(len(side.split()) in DOCS_WORDS for side in pair[:2])]
    return [found[place] for place in shuffled(len(found), _DOCS_DRAW)]


def lines_of_code(copies: Sequence[str]) -> list[str]:
    """The distinct lines that are code or identifiers, in a random order."""
    found = sorted({line for line in copies if CODE.search(line)})
    return [found[place] for place in shuffled(len(found), _CODE_DRAW)]


def make_noise(rest: Pairs, docs: Pairs, code: Sequence[str]) -> dict[str, Pairs]:
    """Make as much noise of each type as the audit found, by label.

    The sentences of a pair are used for one type. Only `english` and `german` share their pairs:
    each takes the sentence in its language.

    Args:
        rest: pairs of sentences to make noise of
        docs: further pairs, used if the rest has too few
        code: lines of code
    """
    wanted = amounts(None)
    rows = {
        "misaligned": wanted["misaligned"],
        "english": 2 * max(wanted["english"], wanted["german"]),
        "copy": wanted["copy"],
        "short": wanted["short"],
    }
    missing = max(0, sum(rows.values()) - len(rest))
    pool = [*rest, *docs[:missing]]
    pool = [pool[place] for place in shuffled(len(pool), _POOL_DRAW)]
    part: dict[str, Pairs] = {}
    for label, count in rows.items():
        part[label], pool = pool[:count], pool[count:]
    noise = {
        "misaligned": misaligned(part["misaligned"], (*rest, *docs)),
        "english": two_by_two([pair.source for pair in part["english"]]),
        "german": two_by_two([pair.target for pair in part["english"]]),
        "copy": [Pair(pair.source, pair.source) for pair in part["copy"]],
        "short": fragments(part["short"]),
        "code": two_by_two(code[: 2 * wanted["code"]]),
    }
    return {label: _in_random_order(noise[label], n) for n, label in enumerate(NOISE)}


def _in_random_order(pairs: Pairs, number: int) -> Pairs:
    return [pairs[place] for place in shuffled(len(pairs), _TYPE_DRAW + number)]


def two_by_two(lines: Sequence[str]) -> Pairs:
    """Pair each line of the first half with a different line of the second."""
    half = len(lines) // 2
    left, right = list(lines[:half]), list(lines[half : 2 * half])
    _until_none(left, right, lambda one, other: one.casefold() == other.casefold())
    return [Pair(*sides) for sides in zip(left, right)]


def misaligned(pairs: Pairs, known: Iterable[Pair]) -> Pairs:
    """Pair each source with the target of another pair, about as long as its own target.

    No target is a translation of the source in `known`.
    """
    translations: dict[str, set[str]] = {}
    for pair in (*known, *pairs):
        translations.setdefault(_plain(pair.source), set()).add(_plain(pair.target))
    ties = np.random.Generator(np.random.Philox(key=[SEED, _TIE_DRAW])).random(len(pairs))
    order = np.lexsort((ties, np.array([len(pair.target) for pair in pairs])))
    left = [pairs[place].source for place in order]
    right = [pairs[place].target for place in np.roll(order, 1)]
    _until_none(left, right, lambda one, other: _plain(other) in translations[_plain(one)])
    return [Pair(*sides) for sides in zip(left, right)]


def _plain(sentence: str) -> str:
    """The sentence in lower case without punctuation."""
    return " ".join(re.findall(r"\w+", sentence.casefold()))


def _until_none(left: list[str], right: list[str], bad: Callable[[str, str], bool]) -> None:
    """Swap targets with nearby ones until no pair is bad.

    Raises:
        UserError: no nearby target fits
    """
    for place in range(len(left)):
        if not bad(left[place], right[place]):
            continue
        near = [(place + step) % len(left) for step in range(1, min(len(left), 200))]
        for other in near:
            if not bad(left[place], right[other]) and not bad(left[other], right[place]):
                right[place], right[other] = right[other], right[place]
                break
        else:
            raise UserError(
                f"found no partner for {left[place]!r} that is no translation of it; expected "
                f"sentences of many kinds: fetch Tatoeba and msdocs again, whole"
            )


def fragments(pairs: Pairs) -> Pairs:
    """Pair one to three words of each source with one to three of the target of another pair."""
    random = np.random.Generator(np.random.Philox(key=[SEED, _CUT_DRAW]))

    def cut(sentence: str) -> str:
        words = sentence.split()
        count = min(len(words), int(random.integers(1, LONGEST_FRAGMENT + 1)))
        start = int(random.integers(0, len(words) - count + 1))
        return " ".join(words[start : start + count])

    left = [cut(pair.source) for pair in pairs]
    right = [cut(pair.target) for pair in (*pairs[1:], *pairs[:1])]
    _until_none(left, right, lambda one, other: one.casefold() == other.casefold())
    return [Pair(*sides) for sides in zip(left, right)]
