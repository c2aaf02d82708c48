"""Features of a run: found in their folder, or else built by the command that the error names."""

from __future__ import annotations

import json
import shlex
import shutil
from argparse import Namespace
from pathlib import Path

import pytest

from fairseq_autoassist.cli.tfidf import main as build
from fairseq_autoassist.errors import ConfigError, FeatureError
from fairseq_autoassist.plugin.data import (
    open_features,
    refuse_empty,
    refuse_unplannable,
    repeat_of,
    text_of,
)
from tests.support.corpus import change_text, write_data_bin

NAME = "train.de-en"


@pytest.fixture
def data_bin(tmp_path: Path) -> Path:
    """Data-bin without features."""
    return write_data_bin(tmp_path / "bin", 30, vocabulary=50)


def task(data: object, features: object = "", languages: tuple[str, str] = ("de", "en")):
    """Settings that `open_features` reads."""
    return Namespace(
        data=str(data),
        train_subset="train",
        source_lang=languages[0],
        target_lang=languages[1],
        autoassist_features=str(features),
    )


def mended(cfg: Namespace) -> str:
    """Run the command that the refusal names; returns the folder opened afterwards."""
    with pytest.raises(FeatureError) as caught:
        open_features(cfg, 1)
    words = shlex.split(str(caught.value).rsplit(": ", 1)[1])
    assert words[0] == "autoassist-tfidf"
    assert build([*words[1:], "--no-progress"]) == 0
    return str(open_features(cfg, 1).folder)


def test_by_default_features_are_inside_the_data_bin(data_bin: Path) -> None:
    assert mended(task(data_bin)) == str(data_bin / "autoassist" / NAME)


@pytest.mark.parametrize("named", ["feat", f"feat/{NAME}"])
def test_features_are_in_a_named_folder(data_bin: Path, tmp_path: Path, named: str) -> None:
    assert mended(task(data_bin, tmp_path / named)) == str(tmp_path / "feat" / NAME)


def test_a_data_bin_named_for_features_means_the_folder_inside_it(
    data_bin: Path, tmp_path: Path
) -> None:
    """Name the run's own data-bin, then one with features of equal data."""
    assert mended(task(data_bin, data_bin)) == str(data_bin / "autoassist" / NAME)
    copy = shutil.copytree(data_bin, tmp_path / "copy", ignore=shutil.ignore_patterns("auto*"))
    assert open_features(task(copy, data_bin), 1).folder == str(data_bin / "autoassist" / NAME)


def test_features_in_a_renamed_folder_are_found(data_bin: Path, tmp_path: Path) -> None:
    assert build([str(data_bin), "--dest", str(tmp_path), "--no-progress"]) == 0
    renamed = (tmp_path / NAME).rename(tmp_path / "renamed")
    assert open_features(task(data_bin, renamed), 1).folder == str(renamed)
    (renamed / "rarity").unlink()
    assert mended(task(data_bin, renamed)) == str(renamed / NAME)


def test_the_name_of_a_language_may_hold_a_dash(data_bin: Path) -> None:
    for path in [*data_bin.glob("*.de.*"), *data_bin.glob("*de-*")]:
        if path.exists():
            path.rename(path.with_name(path.name.replace("de", "zh-CN")))
    folder = mended(task(data_bin, languages=("zh-CN", "en")))
    assert folder == str(data_bin / "autoassist" / "train.zh-CN-en")


def test_one_command_builds_the_features_of_several_data_bins(
    data_bin: Path, tmp_path: Path
) -> None:
    second = shutil.copytree(data_bin, tmp_path / "second")
    both = f"{data_bin}:{second}"
    assert mended(task(both)) == str(data_bin / "autoassist" / NAME)


def test_several_named_folders_are_built_inside_their_data_bins(
    data_bin: Path, tmp_path: Path
) -> None:
    both, named = f"{data_bin}:{data_bin}", f"{tmp_path / 'a'}:{tmp_path / 'b'}"
    with pytest.raises(FeatureError, match="--target-lang en, and leave --autoassist-features out"):
        open_features(task(both, named), 1)
    with pytest.raises(FeatureError, match="names 2 folders for 1 data-bins, expected one for"):
        open_features(task(data_bin, named), 1)


def test_a_data_bin_listed_twice_has_the_features_that_it_has_alone(
    data_bin: Path, tmp_path: Path
) -> None:
    """List it by one path twice, and by a link to it."""
    link = tmp_path / "link"
    link.symlink_to(data_bin)
    other = write_data_bin(tmp_path / "other", 30, seed=1, vocabulary=50)
    assert build([str(data_bin), "--no-progress"]) == 0
    alone = open_features(task(data_bin), 1)
    for both in (f"{data_bin}:{data_bin}", f"{data_bin}:{link}"):
        found = open_features(task(both), 1)
        assert found._replace(command=alone.command) == alone
        assert open_features(task(both), 2).hash == alone.hash
    shutil.rmtree(data_bin / "autoassist")
    three = task(f"{data_bin}:{other}:{data_bin}")
    assert mended(three) == open_features(three, 3).folder != open_features(three, 2).folder


def test_a_data_bin_listed_twice_has_one_named_folder_of_features(
    data_bin: Path, tmp_path: Path
) -> None:
    both = task(f"{data_bin}:{data_bin}", tmp_path / "mine")
    assert mended(both) == open_features(both, 2).folder == str(tmp_path / "mine" / NAME)


def test_repeats_of_a_data_bin_are_counted_by_content(data_bin: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(data_bin, tmp_path / "copy")
    other = write_data_bin(tmp_path / "other", 30, seed=1, vocabulary=50)
    cfg = task(f"{data_bin}:{other}:{copy}:{other}:{data_bin}/")
    assert [repeat_of(cfg, shard) for shard in range(5)] == [0, 0, 1, 1, 2]
    for folder in (data_bin, copy):  # data that are not mapped go by their path
        (folder / "train.de-en.de.idx").write_bytes(b"TNTIDX")
    assert [repeat_of(cfg, shard) for shard in range(5)] == [0, 0, 0, 1, 1]


def test_only_files_of_the_languages_of_the_run_must_not_be_empty(data_bin: Path) -> None:
    (data_bin / "train.fr-en.fr.bin").touch()
    refuse_empty(task(data_bin))
    for languages in (("fr", "en"), ("en", "fr")):  # fairseq reads both directions from them
        with pytest.raises(ConfigError, match="fr.bin is empty: .* 0 pairs, expected at least one"):
            refuse_empty(task(data_bin, languages=languages))


def test_features_with_the_idf_of_another_corpus_have_another_hash(
    data_bin: Path, tmp_path: Path
) -> None:
    """Build a folder again together with another data-bin: an old state must not resume on it."""
    second = write_data_bin(tmp_path / "second", 30, seed=1, vocabulary=50)
    both, hashes = f"{data_bin}:{second}", []
    for built in (str(data_bin), str(data_bin), both):
        assert build([built, "--force", "--no-progress"]) == 0
        hashes.append(open_features(task(built), 1).hash)
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(("lang", "side"), [("de", "source"), ("en", "target")])
def test_features_of_other_text_of_the_same_sizes_are_refused(
    data_bin: Path, lang: str, side: str
) -> None:
    cfg = task(data_bin)
    mended(cfg)
    before = text_of(cfg, 0)
    change_text(data_bin, lang)
    with pytest.raises(FeatureError) as caught:
        open_features(cfg, 1)
    said = str(caught.value)
    assert f"other data than is loaded (tokens of the {side}: found " in said and "\n" not in said
    mended(cfg)
    assert before != text_of(cfg, 0) != ""


def test_all_data_bins_are_checked_before_the_first_is_trained_on(
    data_bin: Path, tmp_path: Path
) -> None:
    second = write_data_bin(tmp_path / "second", 30, seed=1, vocabulary=50)
    both = task(f"{data_bin}:{second}")
    mended(both)
    change_text(second)
    with pytest.raises(FeatureError, match=f"{second}.*tokens of the source: found"):
        open_features(both, 1)


def test_features_without_the_hashes_of_their_text_are_refused(data_bin: Path) -> None:
    folder = Path(mended(task(data_bin)))
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["provenance"]["tokens"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    mended(task(data_bin))


def test_data_that_are_not_mapped_have_no_hash_of_their_text(data_bin: Path) -> None:
    (data_bin / "train.de-en.de.idx").write_bytes(b"TNTIDX")
    assert text_of(task(data_bin), 0) == ""


def test_too_few_pairs_and_batch_buckets_are_refused() -> None:
    cfg = Namespace(num_batch_buckets=0, data="bin", train_subset="train")
    refuse_unplannable(range(4), cfg, 4)
    with pytest.raises(ConfigError, match="bin has 3 pairs .* at least one for each of 4 ranks"):
        refuse_unplannable(range(3), cfg, 4)
    cfg.num_batch_buckets = 2
    with pytest.raises(ConfigError, match="--num-batch-buckets 2 cannot be combined"):
        refuse_unplannable(range(4), cfg, 4)
