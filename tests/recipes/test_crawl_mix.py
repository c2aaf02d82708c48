"""Mix of raw crawl from real corpora: the shares of its parts, and each kind of noise."""

from __future__ import annotations

import gzip
from collections import Counter
from typing import Iterator

import numpy as np
import pytest

from preprocess.text import UserError
from recipes.compare import corpora
from recipes.compare.splits import Pair, Splits
from recipes.crawl import mix
from tests.support.corpus import data_folder

NEEDED = ("tatoeba-deu-eng", "msdocs-en-de")


@pytest.fixture(scope="module")
def mixed() -> Iterator[Splits]:
    """Splits of the noisiest mix."""
    if not all((data_folder() / name).is_dir() for name in NEEDED):
        pytest.skip("needs Tatoeba and msdocs in AUTOASSIST_DATA or ../shared/data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOASSIST_DATA", str(data_folder()))
        yield corpora.CORPORA["mix77"].split()


@pytest.mark.parametrize("lang, pairs", [("de", 169_256), ("ja", 130_029)])
def test_pairs_of_mdn_keep_the_order_of_their_page(
    lang: str, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = data_folder() / "mdn-naive"
    if not folder.is_dir():
        pytest.skip("needs mdn-naive in AUTOASSIST_DATA or ../shared/data")
    monkeypatch.setenv("AUTOASSIST_DATA", str(data_folder()))
    splits = corpora.CORPORA[f"mdn-{lang}"].split()
    assert splits.read == pairs + 2000 and len(splits.test) == len(splits.pages) == 1000
    assert max(Counter(splits.pages).values()) > 20, "expected many pairs from one page"
    with gzip.open(folder / f"en-{lang}.train.tsv.gz", "rt", encoding="utf-8") as stream:
        place = {" ".join(line.split("\t")[0].split()): n for n, line in enumerate(stream)}
    once = [place[pair.source] for pair in splits.train[:2000] if pair.source in place]
    inner = [b - a for a, b in zip(once, once[1:])]
    assert np.median(inner) == 1, "expected neighbours on a page to stay neighbours"


def labelled(splits: Splits, label: str) -> list[Pair]:
    found = [pair for pair in splits.train if pair.label == label]
    assert found
    return found


def test_the_mix_has_the_shares_of_the_audit(mixed: Splits) -> None:
    counts = Counter(pair.label for pair in mixed.train)
    found = {label: count / sum(counts.values()) for label, count in counts.items()}
    whole = mix.OKAY_SHARE + sum(mix.NOISE.values())
    expected = {label: share / whole for label, share in mix.NOISE.items()}
    assert found == pytest.approx({**expected, mix.OKAY: mix.OKAY_SHARE / whole}, abs=0.005)
    assert mixed.read == 168_693 + 3_000 and (len(mixed.valid), len(mixed.test)) == (1000, 2000)


def test_no_sentence_of_valid_or_test_stands_in_the_noise(mixed: Splits) -> None:
    measured = mix.sentences([*mixed.valid, *mixed.test])
    noise = [pair for pair in mixed.train if pair.label not in (mix.OKAY, "short", "code")]
    assert not measured & mix.sentences(noise)
    assert not {pair.source for pair in mixed.train} & {pair.source for pair in mixed.test}


def test_misaligned_pairs_have_matching_lengths_and_are_no_translations(mixed: Splits) -> None:
    pairs = labelled(mixed, "misaligned")
    true = {(pair.source, pair.target) for pair in corpora.tatoeba_pairs()}
    assert len(true) > 100_000
    assert not any((pair.source, pair.target) in true for pair in pairs)
    lengths = [[len(side) for side in pair[:2]] for pair in pairs]
    okay = [[len(side) for side in pair[:2]] for pair in labelled(mixed, mix.OKAY)]
    assert np.corrcoef(np.array(lengths).T)[0, 1] > np.corrcoef(np.array(okay).T)[0, 1] - 0.05


def test_each_kind_of_noise_is_what_its_label_says(mixed: Splits) -> None:
    german = {
        label: [
            np.mean([" nicht " in pair[side] for pair in labelled(mixed, label)]) for side in (0, 1)
        ]
        for label in (mix.OKAY, "misaligned", "english", "german")
    }
    for label in (mix.OKAY, "misaligned"):
        assert german[label][1] > 0.02 > 0.001 > german[label][0]
    assert max(german["english"]) < 0.001 and min(german["german"]) > 0.02
    assert all(pair.source == pair.target for pair in labelled(mixed, "copy"))
    for label in ("english", "german", "short", "code"):
        assert all(pair.source != pair.target for pair in labelled(mixed, label))
    words = [len(side.split()) for pair in labelled(mixed, "short") for side in pair[:2]]
    assert set(words) == {1, 2, 3}
    assert all(mix.CODE.search(side) for pair in labelled(mixed, "code") for side in pair[:2])


def test_a_share_is_of_all_pairs_and_noise_grows_with_it() -> None:
    clean = [Pair(f"a {number}", f"b {number}") for number in range(10)]
    noise = {
        label: [Pair(f"{label} {number}", "x") for number in range(75_000)] for label in mix.NOISE
    }
    found = {}
    for share in (0.0, 0.25, 0.5):
        pairs = mix.compose(clean, noise, share)
        assert [pair for pair in pairs if pair.label == mix.OKAY] != clean, "not shuffled"
        found[share] = {pair for pair in pairs if pair.label != mix.OKAY}
        wanted = mix.CLEAN * share / (1 - share)
        assert wanted - len(mix.NOISE) <= len(found[share]) <= wanted
    assert not found[0.0] and found[0.25] < found[0.5]
    with pytest.raises(UserError, match="found 3 pairs of noise of the type copy; expected"):
        mix.compose(clean, {**noise, "copy": noise["copy"][:3]}, 0.5)


def test_all_translations_of_a_clean_sentence_are_clean_or_left_out() -> None:
    pairs = [Pair(f"a {number // 3}", f"b {number}") for number in range(60)]
    measured = [Pair("m", "b 0")]
    clean, rest = mix.clean_and_rest(pairs, measured, clean=20)
    assert len(clean) == 20 and rest
    assert not mix.sentences([*clean, *measured]) & mix.sentences(rest)


def test_no_misaligned_pair_is_a_known_translation() -> None:
    pairs = [Pair("one", "eins"), Pair("two", "zwei"), Pair("six", "acht")]
    known = [Pair("One!", "Zwei"), Pair("one", "acht.")]  # known despite case and marks
    with pytest.raises(UserError, match="found no partner for 'one'"):
        mix.misaligned(pairs, known)
    found = mix.misaligned(pairs, known[:1])
    assert Pair("one", "acht") in found and len(found) == 3
    assert not set(found) & {*pairs, Pair("one", "zwei")}
