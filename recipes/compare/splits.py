"""Split a corpus, so that no source side of valid, test or slice is in training.

Pure functions on lists of pairs. Every pair that is read ends in exactly one split, or is counted
under the reason why it was dropped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Iterable, List, NamedTuple, Sequence

import numpy as np

from preprocess.clean import Limits, normalise, reason_to_drop
from preprocess.text import UserError

SEED = 20190  # of all draws here: splits are the same for all runs
SLICE = 1000  # pairs held out of training at random
HELD_OUT = ("valid", "test", "slice")


class Pair(NamedTuple):
    """A sentence pair; `label` is a human's verdict on it, or '' without one."""

    source: str
    target: str
    label: str = ""


Pairs = List[Pair]


@dataclass
class Splits:
    """Splits of a corpus, and counts of dropped pairs."""

    train: Pairs
    valid: Pairs
    test: Pairs
    slice: Pairs = field(default_factory=list)
    dropped: Counter = field(default_factory=Counter)  # reason -> pairs
    pages: list[str] = field(default_factory=list)  # of the test pairs; empty: not known

    def of(self, name: str) -> Pairs:
        """Pairs of a split, by its name."""
        return getattr(self, name)

    @property
    def read(self) -> int:
        """Pairs accounted for: those in a split and those dropped."""
        held_out = sum(len(self.of(name)) for name in HELD_OUT)
        return len(self.train) + held_out + sum(self.dropped.values())


def shuffled(count: int, stream: int) -> np.ndarray:
    """A permutation of range(count), equal on every machine; another `stream` gives another."""
    return np.random.Generator(np.random.Philox(key=[SEED, stream])).permutation(count)


def normalised(pairs: Iterable[Pair]) -> Pairs:
    """Pairs with both sides normalised; labels stay."""
    return [Pair(normalise(pair.source), normalise(pair.target), pair.label) for pair in pairs]


def by_source(pairs: Sequence[Pair], valid: int, test: int) -> Splits:
    """Split by distinct source side: all translations of a sentence stay together.

    The reference of a source side in valid or test is one of its translations, at random.
    """
    variants: dict[str, list[int]] = {}
    for number, pair in enumerate(pairs):
        variants.setdefault(pair.source, []).append(number)
    sources = list(variants)
    if len(sources) <= valid + test:
        raise UserError(
            f"found {len(sources)} distinct source sides; expected more than {valid + test}, "
            f"for valid and test and some to train on: give a larger corpus"
        )
    order = shuffled(len(sources), 0)
    drawn = np.random.Generator(np.random.Philox(key=[SEED, 1])).random(valid + test)
    measured: Pairs = []
    dropped: Counter = Counter()
    for place, draw in zip(order[: valid + test], drawn):
        mine = variants[sources[place]]
        measured.append(pairs[mine[int(draw * len(mine))]])
        dropped["other translation of a valid or test source"] += len(mine) - 1
    chosen = {pair.source for pair in measured}
    train = [pair for pair in pairs if pair.source not in chosen]
    return Splits(train, measured[:valid], measured[valid:], dropped=+dropped)


def by_document(
    pairs: Sequence[Pair], documents: Sequence[str], fit: Sequence[bool], valid: int, test: int
) -> Splits:
    """Split by document: valid and test are `fit` pairs of documents that training never sees.

    Args:
        pairs, documents, fit: in parallel, a pair, its document, and whether it may be in valid or
            test
        valid, test: numbers of pairs
    """
    members: dict[str, list[int]] = {}
    for number, document in enumerate(documents):
        members.setdefault(document, []).append(number)
    candidates = [name for name, mine in members.items() if any(fit[number] for number in mine)]
    queue = [candidates[place] for place in shuffled(len(candidates), 0)]
    taken: list[Pairs] = []
    used: set[str] = set()
    seen: set[str] = set()
    for wanted in (valid, test):
        part: Pairs = []
        while len(part) < wanted and queue:
            document = queue.pop()
            used.add(document)
            for number in members[document]:
                pair = pairs[number]
                if fit[number] and pair.source not in seen and len(part) < wanted:
                    part.append(pair)
                    seen.add(pair.source)
        if len(part) < wanted:
            raise UserError(
                f"found {len(part)} pairs fit to measure on; expected {wanted}: give more documents"
            )
        taken.append(part)
    train = [pair for pair, document in zip(pairs, documents) if document not in used]
    left = len(pairs) - len(train) - valid - test
    return Splits(
        train, taken[0], taken[1], dropped=Counter({"in a document of valid or test": left})
    )


def finish(splits: Splits, limits: Limits, held_out: int = SLICE) -> Splits:
    """Clean the training pairs, hold the slice out, and keep each source side in one split.

    The slice is a uniform sample of the training pairs, so its loss is an unbiased training loss.
    """
    measured = {pair.source for pair in (*splits.valid, *splits.test)}
    clean: Pairs = []
    for pair in splits.train:
        reason = reason_to_drop(pair.source, pair.target, limits)
        if reason is None and pair.source in measured:
            reason = "source stands in valid or test"
        if reason is None:
            clean.append(pair)
        else:
            splits.dropped[reason] += 1
    if len(clean) <= held_out:
        raise UserError(f"found {len(clean)} training pairs; expected more than {held_out}")
    chosen = np.sort(shuffled(len(clean), 2)[:held_out])
    splits.slice = [clean[number] for number in chosen]
    sources = {pair.source for pair in splits.slice}
    splits.train = [pair for pair in clean if pair.source not in sources]
    splits.dropped["source stands in the slice"] += len(clean) - held_out - len(splits.train)
    splits.dropped = +splits.dropped
    return splits


def majority(labels: Iterable[str]) -> str:
    """The most frequent label, or "mixed" where two are equally frequent."""
    ranked = Counter(labels).most_common(2)
    return "mixed" if len(ranked) > 1 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def distinct(pairs: Sequence[Pair]) -> tuple[Pairs, int]:
    """Return each pair once, with the commonest label of its copies, and the number merged."""
    labels: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        labels.setdefault((pair.source, pair.target), []).append(pair.label)
    merged = [Pair(*sides, majority(given)) for sides, given in labels.items()]
    return merged, len(pairs) - len(merged)
