"""`autoassist-relevance`: how much training pairs are like those of a validation set."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.core.features import RELEVANCE_NAME, Features, feature_folder
from fairseq_autoassist.relevance import main
from fairseq_autoassist.tfidf import ratio
from fairseq_autoassist.tfidf.cli import main as build_features
from fairseq_autoassist.tfidf.corpus import open_shard
from tests.support.corpus import write_side

LANGS = ("de", "en")
WORDS = 60  # of each domain; the first of both are shared
ROWS, VALID = 3000, 400


def write_mixture(folder: Path, subset: str, domains: np.ndarray, seed: int) -> None:
    """Pairs of domain 0 or 1: half of the words are the domain's own, half are shared."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for lang in LANGS:
        lines = "".join(f"w{i} 1\n" for i in range(3 * WORDS))
        (folder / f"dict.{lang}.txt").write_text(lines, encoding="utf-8")
        sizes = (rng.poisson(8, len(domains)) + 2).astype("<i4")
        own = np.repeat(1 + domains, sizes)
        block = np.where(rng.random(len(own)) < 0.5, own, 0)
        tokens = 4 + block * WORDS + rng.integers(0, WORDS, len(own))
        tokens[np.cumsum(sizes) - 1] = 2  # </s>
        write_side(folder / f"{subset}.de-en.{lang}", tokens, sizes)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Training data of which a quarter is of the domain of the validation set; and which."""
    folder = tmp_path_factory.mktemp("mixed") / "data-bin"
    domains = (np.random.default_rng(5).random(ROWS) < 0.25).astype(int)
    write_mixture(folder, "train", domains, 1)
    write_mixture(folder, "valid", np.ones(VALID, dtype=int), 2)
    write_mixture(folder, "same", (np.arange(VALID) % 4 == 0).astype(int), 3)
    assert build_features([str(folder)]) == 0
    return folder, domains == 1


def opened(folder: Path) -> Features:
    return Features.open(feature_folder(folder, "train", *LANGS))


def test_validation_rows_are_weighed_as_training_rows_are(mixed) -> None:
    folder, _ = mixed
    features = opened(folder)
    shard = open_shard(folder, folder, "train", *LANGS)
    rows = ratio.validation_rows(shard, [features])
    difference = rows - features.gather(np.arange(features.rows))
    assert abs(difference).max() < 1e-6 and rows.nnz == features.manifest.nnz


def test_pairs_of_the_domain_are_relevant(mixed, tmp_path, capsys) -> None:
    folder = shutil.copytree(mixed[0], tmp_path / "data-bin")
    assert main([str(folder), "--share", "0.25"]) == 0
    said = capsys.readouterr().out
    assert "3,000 pairs held against 400 of valid: AUC 0." in said and "hardly" not in said
    found, mine = opened(folder).relevance, mixed[1]
    assert found.min() > 0.0 and found.max() == 1.0
    assert (found == 1.0).mean() == pytest.approx(0.25, abs=0.002)
    assert np.median(found[mine]) > 0.9 and np.median(found[~mine]) < 0.1
    # what is kept is nearly all of the domain, where a quarter was
    assert found[mine].sum() / found.sum() > 0.75
    assert main([str(folder), "--share", "0.01"]) == 0
    fewer = opened(folder).relevance
    assert (fewer == 1.0).sum() == 30
    unclipped = found < 1.0  # in proportion to the same density ratios
    scale = fewer[unclipped] / found[unclipped]
    np.testing.assert_allclose(scale, scale[0], rtol=1e-4)


def test_the_same_again_to_the_bit(mixed, tmp_path) -> None:
    found = []
    for name in ("one", "two"):
        folder = shutil.copytree(mixed[0], tmp_path / name)
        assert main([str(folder), "--valid-subset", "valid"]) == 0
        found.append((feature_folder(folder, "train", *LANGS) / RELEVANCE_NAME).read_bytes())
    assert found[0] == found[1]


def test_pairs_that_cannot_be_told_apart_are_about_alike(mixed, tmp_path, capsys) -> None:
    folder = shutil.copytree(mixed[0], tmp_path / "data-bin")
    assert main([str(folder), "--valid-subset", "same"]) == 0
    assert "hardly told apart, there is little to choose by" in capsys.readouterr().out
    assert opened(folder).relevance.min() > 0.3


def test_shards_are_judged_by_one_regression(mixed, tmp_path, capsys) -> None:
    folders = [tmp_path / name for name in "ab"]
    for number, folder in enumerate(folders):
        write_mixture(folder, "train", np.full(800, number), 7 + number)
        write_mixture(folder, "valid", np.ones(VALID, dtype=int), 2)
    both = f"{folders[0]}:{folders[1]}"
    assert build_features([both]) == 0
    assert main([both]) == 0
    other, mine = (np.array(opened(folder).relevance) for folder in folders)
    assert mine.mean() > 3 * other.mean()
    assert (np.concatenate([other, mine]) == 1.0).sum() == 32 and (mine == 1.0).sum() >= 31
    # one alone does not have the document frequencies that its features were made with
    assert main([str(folders[0])]) == 2
    assert main([both, "--dest", str(tmp_path)]) == 2  # they cannot all lie there
    shutil.rmtree(folders[1] / "autoassist")
    capsys.readouterr()
    assert main([both]) == 2
    assert f"build them with: autoassist-tfidf {both} --source-lang" in capsys.readouterr().err
    assert build_features([str(folders[1])]) == 0  # alone
    capsys.readouterr()
    assert main([both]) == 2
    assert "have features of different document frequencies" in capsys.readouterr().err


def test_several_validation_sets_are_not_joined(mixed, tmp_path) -> None:
    """fairseq would join train1 to train, but not valid1 to valid."""
    folder = shutil.copytree(mixed[0], tmp_path / "data-bin")
    assert main([str(folder)]) == 0
    alone = np.array(opened(folder).relevance)
    write_mixture(folder, "valid1", np.zeros(VALID, dtype=int), 4)
    assert main([str(folder)]) == 0
    np.testing.assert_array_equal(opened(folder).relevance, alone)
    assert main([str(folder), "--valid-subset", "valid1"]) == 0
    assert np.corrcoef(opened(folder).relevance, alone)[0, 1] < 0


def test_where_the_features_are_elsewhere(mixed, tmp_path) -> None:
    folder = shutil.copytree(mixed[0], tmp_path / "data-bin")
    shutil.rmtree(folder / "autoassist")
    dest = str(tmp_path / "features")
    assert build_features([str(folder), "--dest", dest]) == 0
    assert main([str(folder), "--dest", dest]) == 0
    assert (tmp_path / "features" / "train.de-en" / RELEVANCE_NAME).stat().st_size == 4 * ROWS


@pytest.mark.parametrize(
    "case, expected",
    [
        ("no features", "build them with: autoassist-tfidf"),
        ("other data", "were made of other data"),
        ("no subset", "no none.de-en in"),
        ("few pairs", "found 10 validation pairs"),
        ("few training pairs", "found 4 training pairs"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(
    mixed, tmp_path, capsys, case, expected
) -> None:
    folder = shutil.copytree(mixed[0], tmp_path / "data-bin")
    words = [str(folder)]
    if case == "no features":
        shutil.rmtree(folder / "autoassist")
    elif case == "other data":
        write_mixture(folder, "train", np.ones(ROWS, dtype=int), 9)
    elif case == "no subset":
        words += ["--valid-subset", "none"]
    elif case == "few training pairs":
        write_mixture(folder, "train", np.ones(4, dtype=int), 9)
        assert build_features([str(folder), "--force", "--no-progress"]) == 0
        capsys.readouterr()
    else:
        write_mixture(folder, "few", np.ones(10, dtype=int), 9)
        words += ["--valid-subset", "few"]
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("autoassist-relevance: error: ") and expected in said
    assert len(said.splitlines()) == 1 and not list(folder.rglob("*relevance*"))
