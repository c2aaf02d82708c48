"""Corpora of the comparison: no sentence is in two splits, and every pair is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Callable

import pytest

from preprocess.clean import Limits
from recipes.common import data
from recipes.compare import corpora
from recipes.compare.splits import (
    HELD_OUT,
    Pair,
    Splits,
    by_document,
    by_source,
    distinct,
    finish,
    majority,
    shuffled,
)
from tests.support.corpus import data_folder

CORPORA = {
    "multi30k": (data.MULTI30K, 31014),
    "multi30k-lower": (data.MULTI30K, 31014),
    "tatoeba": (data.TATOEBA, 169197),
    "msdocs": (data.MSDOCS, 203968),
    "noisy": (data.PARACRAWL, 36014),
}

# Permutations of 8, one for each stream.
DRAWN = [[5, 0, 1, 4, 2, 7, 6, 3], [3, 4, 5, 7, 6, 0, 1, 2], [1, 3, 0, 4, 5, 7, 6, 2]]


def pairs(*sources: str) -> list[Pair]:
    """Pairs of the given sources with numbered targets."""
    return [Pair(source, f"ziel {number}") for number, source in enumerate(sources)]


def sources(splits: Splits, name: str) -> set[str]:
    return {pair.source for pair in splits.of(name)}


def assert_no_leak(splits: Splits) -> None:
    for name in HELD_OUT:
        assert splits.of(name)
        for other in ("train", *HELD_OUT):
            if other != name:
                assert not sources(splits, name) & sources(splits, other), (name, other)


@pytest.mark.parametrize("name", CORPORA)
def test_a_real_corpus_has_the_expected_splits_without_leaks(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, read = CORPORA[name]
    if not (data_folder() / corpus.name).is_dir():
        pytest.skip(f"needs {corpus.name} in AUTOASSIST_DATA or ../shared/data")
    monkeypatch.setenv("AUTOASSIST_DATA", str(data_folder()))
    splits = corpora.CORPORA[name].split()
    assert splits.read == read
    captions = name in ("multi30k", "multi30k-lower")
    if captions or name == "noisy":  # no source is in both of the published splits
        assert (len(splits.valid), len(splits.test)) == (1014, 1000)
    assert_no_leak(splits)
    assert len(splits.slice) == 1000
    for clean in (True, False):  # other pairs of the noisy corpus come from web crawl
        part = [pair for pair in splits.train if (pair.label == "clean") is clean]
        german = [sum(" und " in pair[side] for pair in part) for side in (0, 1)]
        assert german[1] > 3 * german[0] or not part, "expected German on the target side"
    assert ("length ratio" in splits.dropped) == (captions or name == "tatoeba")
    lower = all(side == side.lower() for pair in splits.train for side in pair[:2])
    assert lower == (name == "multi30k-lower")
    if name == "msdocs":
        measured = [*splits.valid, *splits.test]
        assert len(measured) == 2000
        assert all(p.label == "HT" and p.source != p.target for p in measured)
        copies = sum(pair.source == pair.target for pair in splits.train)
        assert copies > 0.12 * len(splits.train), "expected the noise to stay in training"
    if name == "noisy":
        labels = Counter(pair.label for pair in splits.train)
        assert labels["clean"] > 27_000 and labels["mixed"] > 300 and labels["A"] > 400


def test_the_permutations_of_the_splits_do_not_change() -> None:
    # Another permutation would change the test sets of the published results.
    assert [shuffled(8, stream).tolist() for stream in range(3)] == DRAWN


def test_all_translations_of_a_sentence_stay_together() -> None:
    given = pairs(*["a", "b", "c", "d", "e", "f"] * 3)
    splits = by_source(given, 2, 2)
    assert len(sources(splits, "valid")) == len(sources(splits, "test")) == 2
    assert not sources(splits, "train") & (sources(splits, "valid") | sources(splits, "test"))
    assert splits.dropped == {"other translation of a valid or test source": 8}
    assert splits.read == len(given)
    with pytest.raises(SystemExit, match="found 6 distinct source sides; expected more than 6"):
        by_source(given, 3, 3)


def test_a_measured_document_is_not_trained_on() -> None:
    given = pairs(*"abcdefghij")
    documents = list("1122334455")
    fit = [number % 2 == 0 for number in range(10)]
    splits = by_document(given, documents, fit, 2, 1)
    where = dict(zip(given, documents))
    measured = {where[pair] for pair in (*splits.valid, *splits.test)}
    assert len(measured) == 3 and not measured & {where[pair] for pair in splits.train}
    assert all(fit[given.index(pair)] for pair in (*splits.valid, *splits.test))
    assert splits.dropped["in a document of valid or test"] == 3
    assert splits.read == 10
    with pytest.raises(SystemExit, match="found 2 pairs fit to measure on; expected 3"):
        by_document(given, documents, fit, 3, 3)


def test_training_is_cleaned_and_every_pair_counted() -> None:
    train = pairs("held", "held", "", "long " * 30, *(f"s {number}" for number in range(8)))
    splits = Splits(train, pairs("held"), pairs("other"))
    done = finish(splits, Limits(max_words=20), held_out=2)
    assert done.dropped == {"source stands in valid or test": 2, "empty": 1, "too long": 1}
    assert (len(done.train), len(done.slice), done.read) == (6, 2, 14)
    assert_no_leak(done)


def test_other_translations_of_the_slice_are_not_trained_on() -> None:
    done = finish(Splits(pairs(*["a", "b", "c"] * 4), pairs("v"), pairs("t")), Limits(), 1)
    assert not sources(done, "slice") & sources(done, "train")
    assert done.dropped == {"source stands in the slice": 3}


def test_labels_of_one_pair_are_merged() -> None:
    labelled = [Pair("a", "b", label) for label in "VVA"] + [Pair("c", "d", x) for x in "VA"]
    assert distinct(labelled) == ([Pair("a", "b", "V"), Pair("c", "d", "mixed")], 3)
    assert majority("V") == "V"


@pytest.mark.parametrize("split", [corpora.msdocs, corpora.noisy])
def test_an_unpublished_corpus_is_asked_for_in_one_line(
    split: Callable[[], Splits], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTOASSIST_DATA", raising=False)
    corpus = {"msdocs": data.MSDOCS, "noisy": data.PARACRAWL}[split.__name__]
    with pytest.raises(SystemExit, match=f"found no {corpus.name} .* in AUTOASSIST_DATA") as error:
        data.find(corpus, tmp_path, root=tmp_path / "checkout")
    assert "\n" not in str(error.value)
