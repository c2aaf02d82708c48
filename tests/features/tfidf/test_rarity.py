"""Source-side rarity (Platanios et al. 2019, section 3): a float a pair, beside the features."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.manifest import FORMAT_VERSION
from fairseq_autoassist.features.store import Features
from fairseq_autoassist.features.tfidf.build import build_features
from fairseq_autoassist.text.binarized import BinarizedSide
from tests.support.corpus import write_data_bin, write_side

A, B, C = 4, 5, 6  # ids of the first words of a dictionary
PAD, EOS, UNK = 1, 2, 3


def write_bin(folder: Path, source: list[list[int]], target: list[list[int]]) -> Path:
    """Data-bin (de-en) of the given sentences, </s> added, with a dictionary of three words."""
    folder.mkdir(parents=True)
    for lang, sentences in (("de", source), ("en", target)):
        (folder / f"dict.{lang}.txt").write_text("a 1\nb 1\nc 1\n")
        ended = [[*sentence, EOS] for sentence in sentences]
        tokens = np.array([token for sentence in ended for token in sentence])
        write_side(folder / f"train.de-en.{lang}", tokens, np.array([len(s) for s in ended]))
    return folder


def features_of(data_bin: Path) -> Features:
    return Features.open(feature_folder(data_bin, "train", "de", "en"))


def naive_rarity(data_bins: list[Path]) -> list[list[float]]:
    """Rarity of every pair of every shard, one Python iteration a token."""
    shards = []
    for folder in data_bins:
        side = BinarizedSide(folder / "train.de-en.de")
        tokens, offsets = side.read(0, len(side.sizes))
        sentences = [tokens[a:b].tolist() for a, b in zip(offsets, offsets[1:])]
        shards.append([[t for t in sentence if t >= UNK] for sentence in sentences])
    seen = Counter(t for shard in shards for sentence in shard for t in sentence)
    total = sum(seen.values())
    return [[-sum(math.log(seen[t] / total) for t in s) for s in shard] for shard in shards]


def test_rarity_equals_numbers_by_hand(tmp_path: Path) -> None:
    """Eight words: a a a a, b b, c, <unk>, hence ln 2, ln 4, ln 8, ln 8. Targets do not matter."""
    source = [[A, A, B], [A, PAD, C], [], [UNK, B, A]]
    folder = write_bin(tmp_path / "bin", source, [[B] * 9, [C], [A], []])
    build_features(str(folder), progress=False)
    features = features_of(folder)
    assert features.rarity.dtype == np.float32
    wanted = [1 + 1 + 2, 1 + 3, 0, 3 + 2 + 1]  # bits
    np.testing.assert_allclose(features.rarity, np.array(wanted) * math.log(2), rtol=1e-6)
    raw = np.fromfile(features.folder / "rarity", "<f4")
    np.testing.assert_array_equal(raw, features.rarity)


def test_words_are_counted_over_all_shards(tmp_path: Path) -> None:
    first = write_bin(tmp_path / "a", [[A, A, A]], [[A]])
    second = write_bin(tmp_path / "b", [[B]], [[A]])
    build_features(f"{first}:{second}", progress=False)
    np.testing.assert_allclose(features_of(first).rarity, [3 * math.log(4 / 3)], rtol=1e-6)
    np.testing.assert_allclose(features_of(second).rarity, [math.log(4)], rtol=1e-6)
    hashes = {features_of(folder).manifest.provenance["unigrams"] for folder in (first, second)}
    assert len(hashes) == 1


@pytest.mark.parametrize("chunk", [1, 1000, 10**6])
def test_rarity_equals_a_naive_loop(tmp_path: Path, chunk: int) -> None:
    folders = [write_data_bin(tmp_path / str(i), 150 + i, seed=i, vocabulary=50) for i in (0, 1)]
    tokens = np.fromfile(folders[0] / "train.de-en.de.bin", "<u2")
    tokens[::7] = np.where(tokens[::7] == EOS, EOS, UNK)
    tokens.tofile(folders[0] / "train.de-en.de.bin")
    build_features(":".join(map(str, folders)), chunk_tokens=chunk, progress=False)
    for folder, wanted in zip(folders, naive_rarity(folders)):
        np.testing.assert_allclose(features_of(folder).rarity, wanted, rtol=1e-6)


@pytest.mark.parametrize(("damage", "said"), [("missing", "is missing"), ("cut", "is truncated")])
def test_damage_is_named_and_mended(tmp_path: Path, damage: str, said: str) -> None:
    folder = write_bin(tmp_path / "bin", [[A, B], [C]], [[A], [B]])
    build_features(str(folder), progress=False)
    path = feature_folder(folder, "train", "de", "en") / "rarity"
    before = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(before[:-4])
    features = features_of(folder)  # rarity is opened only when asked for
    with pytest.raises(FeatureError, match=f"rarity {said}.*autoassist-tfidf .* --force"):
        _ = features.rarity
    assert not build_features(str(folder), progress=False).reused
    assert path.read_bytes() == before


def test_features_of_an_older_version_are_refused_and_built_again(tmp_path: Path) -> None:
    folder = write_bin(tmp_path / "bin", [[A]], [[A]])
    build_features(str(folder), progress=False)
    manifest = feature_folder(folder, "train", "de", "en") / "manifest.json"
    text = manifest.read_text()
    now = f'"format_version": {FORMAT_VERSION}'
    assert now in text
    manifest.write_text(text.replace(now, '"format_version": 1'))
    said = f"version 1, expected {FORMAT_VERSION}; build them with: .* --force"
    with pytest.raises(FeatureError, match=said):
        features_of(folder)
    assert not build_features(str(folder), progress=False).reused


def test_shards_that_were_not_counted_together_are_built_again(tmp_path: Path) -> None:
    """Document frequencies can be the same where word counts are not."""
    folders = [write_bin(tmp_path / name, [[A, B]], [[A]]) for name in "ab"]
    shards = ":".join(map(str, folders))
    build_features(shards, progress=False)
    assert build_features(shards, progress=False).reused
    path = feature_folder(folders[1], "train", "de", "en") / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["provenance"]["unigrams"] = "0" * 64
    path.write_text(json.dumps(manifest))
    assert not build_features(shards, progress=False).reused
