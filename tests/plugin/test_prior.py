"""Prior of a run: its file, and refused settings."""

from __future__ import annotations

import shlex
import shutil
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.cli.tfidf import main as build_features
from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core import prior as prior_module
from fairseq_autoassist.errors import ConfigError, FeatureError
from fairseq_autoassist.features.agreement.files import CODES_NAME
from fairseq_autoassist.features.binned import Codes
from fairseq_autoassist.plugin.data import open_features
from fairseq_autoassist.plugin.prior import OpenedPrior, open_prior
from fairseq_autoassist.text import fingerprint
from tests.support.corpus import change_text, write_data_bin
from tests.support.priors import BINS, STATISTICS, write_agreement

ROWS = 60
PRIOR = np.where(np.arange(ROWS) % 4 == 0, 0.5, 0.0001).astype(np.float32)
LANGUAGES = "--source-lang de --target-lang en"


def cfg(data: object, features: object = "") -> Namespace:
    """Settings of a task that `open_prior` reads."""
    return Namespace(
        data=str(data),
        train_subset="train",
        source_lang="de",
        target_lang="en",
        autoassist_features=str(features),
    )


def opened(data: object, epoch: int = 1, features: object = "", **settings) -> OpenedPrior:
    return open_prior(cfg(data, features), AutoAssistConfig(**settings), epoch, ROWS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data-bin with features and an agreement."""
    data = write_data_bin(tmp_path_factory.mktemp("data") / "bin", ROWS, vocabulary=50)
    assert build_features([str(data), "--no-progress"]) == 0
    write_agreement(data, PRIOR)
    return data


def test_by_default_the_prior_is_that_of_autoassist_agreement(made: Path) -> None:
    found = opened(made)
    assert found.prior is not None and found.prior.floor == 0.001
    np.testing.assert_array_equal(found.prior.values, PRIOR)
    path = made / "autoassist" / "train.de-en" / CODES_NAME
    assert found.codes is not None
    assert found.codes._replace(sha256="") == Codes(str(path), STATISTICS, BINS)
    # 15 of 60 at 0.5, the others at the floor
    assert found.told == (
        "prior of autoassist-agreement: mean 0.126, 75% of the pairs below 0.01; off with "
        "--autoassist-prior none"
    )
    floored = opened(made, prior_floor=0.2)
    assert floored.prior is not None and floored.prior.mean() == pytest.approx(0.275)
    assert ": mean 0.275, 0% of the pairs" in floored.told


@pytest.mark.parametrize("strategy", ["spl", "infobatch", "competence", "prior"])
def test_strategies_without_an_assistant_have_no_columns(made: Path, strategy: str) -> None:
    found = opened(made, strategy=strategy)
    assert found.prior is not None and found.codes is None


@pytest.mark.parametrize(
    "settings",
    [{"prior": "none"}, {"strategy": "uniform"}, {"strategy": "random"}],
)
def test_these_settings_have_no_prior(made: Path, settings: dict) -> None:
    assert opened(made, **settings) == OpenedPrior()


def test_without_an_agreement_there_is_no_prior_and_no_message(tmp_path: Path) -> None:
    data = write_data_bin(tmp_path / "bin", ROWS, vocabulary=50)
    assert opened(data) == opened(data, strategy="spl") == OpenedPrior()


def test_columns_of_an_agreement_change_the_dimensions_and_the_hash(made: Path) -> None:
    found = opened(made)
    plain, more = open_features(cfg(made), 1), open_features(cfg(made), 1, found.codes)
    assert more.dimensions == plain.dimensions + len(STATISTICS) * BINS
    assert found.codes is not None and more.hash != plain.hash and more.folder == plain.folder
    other = found.codes._replace(statistics=("gain", "copies", "other"))
    assert open_features(cfg(made), 1, other).hash != more.hash


def test_other_bins_in_any_data_bin_have_another_hash_of_all(two: tuple[Path, Path]) -> None:
    """An old state must not resume on other columns of the same names, nor of the next data-bin."""
    data = ":".join(map(str, two))
    assert build_features([data, "--no-progress"]) == 0

    def hash_of(epoch: int) -> str:
        return open_features(cfg(data), epoch, opened(data, epoch).codes).hash

    hashes = []
    for other in (PRIOR, PRIOR[::-1], PRIOR):
        write_agreement(two[0], PRIOR)
        write_agreement(two[1], other)
        assert hash_of(1) == hash_of(2)
        hashes.append(hash_of(1))
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize("name", ["mine.txt", "mine.npy"])
def test_a_prior_of_the_user_is_read(made: Path, tmp_path: Path, name: str) -> None:
    path, values = tmp_path / name, np.linspace(0, 1, ROWS)
    np.save(path, values) if name.endswith("npy") else np.savetxt(path, values)
    found = opened(made, prior=str(path))
    assert found.prior is not None and found.codes is None
    np.testing.assert_allclose(
        found.prior.of(np.arange(ROWS)), np.maximum(values, 0.001), rtol=1e-6
    )
    assert found.told.startswith(f"prior of {path}: mean 0.500, 2% of the pairs below 0.01; off")


def test_a_prior_of_the_user_serves_a_data_bin_listed_twice(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "scores.npy"
    np.save(path, PRIOR)
    for files in (path, f"{path}:{path}"):
        for epoch in (1, 2):
            found = opened(f"{made}:{made}", epoch, prior=str(files)).prior
            assert found is not None
            np.testing.assert_allclose(found.values, PRIOR)


def test_a_wrong_prior_of_the_user_is_refused(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("0.5\n" * (ROWS - 1) + "2\n")
    with pytest.raises(ConfigError, match=f"mine.txt, line {ROWS}: found '2', expected a number"):
        opened(made, prior=str(path))
    path.write_text("0.5\n" * (ROWS + 1))
    with pytest.raises(ConfigError, match=f"found 61 lines, expected 60, one for each .* {made}"):
        opened(made, prior=str(path))
    with pytest.raises(ConfigError, match="names 2 files for 1 data-bins, expected one for each"):
        opened(made, prior=f"{path}:{path}")


def command_in(error: Exception) -> list[str]:
    words = shlex.split(str(error).rsplit(": ", 1)[1])
    assert words[0] == "autoassist-agreement"
    return words[1:]


def test_an_agreement_of_other_data_is_refused_with_the_command(made: Path, tmp_path: Path) -> None:
    data = write_data_bin(tmp_path / "data bin", ROWS, seed=3, vocabulary=50)
    shutil.copytree(made / "autoassist", data / "autoassist")
    with pytest.raises(FeatureError, match="made of other data than is loaded") as error:
        opened(data)
    assert command_in(error.value) == [str(data), *LANGUAGES.split()]
    assert opened(data, prior="none") == OpenedPrior()


def test_an_agreement_of_other_text_of_the_same_sizes_is_refused(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    """Refuse it in the second data-bin too, before training on the first."""
    data = [shutil.copytree(one, tmp_path / f"d{n}") for n, one in enumerate(two)]
    for one in data:
        write_agreement(one, PRIOR)
    both = ":".join(map(str, data))
    assert opened(both).prior is not None
    change_text(data[1], "en")
    with pytest.raises(FeatureError, match="tokens of the target: found .*, expected") as error:
        opened(both)
    assert command_in(error.value) == [both, *LANGUAGES.split()]


def test_a_prior_is_read_from_a_named_folder_of_features(made: Path, tmp_path: Path) -> None:
    data = write_data_bin(tmp_path / "bin", ROWS, vocabulary=50)
    elsewhere = tmp_path / "dest" / "train.de-en"
    folder = write_agreement(data, PRIOR, folder=elsewhere)
    assert opened(data).prior is None
    found = opened(data, features=tmp_path / "dest").prior
    assert found is not None and found.path == folder / "prior"
    (folder / "prior").unlink()
    with pytest.raises(FeatureError, match="not whole") as error:
        opened(data, features=tmp_path / "dest")
    assert command_in(error.value) == [
        *[str(data), *LANGUAGES.split()],
        *["--dest", str(tmp_path / "dest")],
    ]


def test_the_strategy_prior_needs_a_prior(made: Path, tmp_path: Path) -> None:
    data = write_data_bin(tmp_path / "bin", ROWS, vocabulary=50)
    with pytest.raises(ConfigError, match="there is none in .*bin/autoassist/train.de-en") as error:
        opened(data, strategy="prior")
    assert command_in(error.value) == [str(data), *LANGUAGES.split()]
    with pytest.raises(ConfigError, match="needs a prior, and --autoassist-prior is none; give"):
        opened(made, strategy="prior", prior="none")


# -- several data-bins ----------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Paths of two data-bins; only the first has an agreement."""
    first, second = (write_data_bin(tmp_path / n, ROWS, seed=s) for n, s in (("a", 0), ("b", 1)))
    write_agreement(first, PRIOR)
    return first, second


def test_each_data_bin_has_its_own_prior(two: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = two
    write_agreement(second, PRIOR[::-1])
    data = f"{first}:{second}"
    priors = [opened(data, epoch).prior for epoch in (1, 2, 3)]
    for found, expected in zip(priors, (PRIOR, PRIOR[::-1], PRIOR)):
        assert found is not None
        np.testing.assert_array_equal(found.values, expected)
    paths = [tmp_path / name for name in ("x", "y")]
    for value, path in enumerate(paths):
        path.write_text(f"0.{value + 1}\n" * ROWS)
    for epoch in (1, 2):
        mine = opened(data, epoch, prior=":".join(map(str, paths))).prior
        assert mine is not None and mine.mean() == pytest.approx(0.1 * epoch)
    with pytest.raises(ConfigError, match="names 1 files for 2 data-bins"):
        opened(data, prior=str(paths[0]))


def test_all_data_bins_have_a_prior_or_none_has(two: tuple[Path, Path]) -> None:
    data = ":".join(map(str, two))
    for epoch in (1, 2):
        with pytest.raises(FeatureError, match="of 1 of 2 data-bins, expected that") as error:
            opened(data, epoch)
        assert command_in(error.value) == [data, *LANGUAGES.split()]
    folder = write_agreement(two[1], PRIOR, statistics=STATISTICS[:2])
    with pytest.raises(FeatureError, match="different statistics, expected the same"):
        opened(data)
    write_agreement(two[1], PRIOR)
    (folder / "prior").write_bytes(b"1234")
    with pytest.raises(FeatureError, match="prior is truncated"):  # the first one is whole
        opened(data)


def test_all_data_bins_are_hashed_once_until_they_change(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open them again in the next epoch without a hash, and notice what has changed by then."""
    data = ":".join(map(str, two))
    assert build_features([data, "--no-progress"]) == 0
    _, folder = [write_agreement(*one) for one in zip(two, (PRIOR, PRIOR[::-1]))]

    def open_all(epoch: int) -> None:
        open_features(cfg(data), epoch, opened(data, epoch).codes)

    open_all(1)
    with monkeypatch.context() as patched:
        for module in (fingerprint, prior_module):
            patched.setattr(module, "hashlib", None)
        open_all(2)
        open_all(3)
    PRIOR.tofile(folder / "prior")
    with pytest.raises(FeatureError, match="prior is damaged: found sha256"):
        open_all(4)
    write_agreement(two[1], PRIOR)
    for data_bin in two:
        with open(data_bin / "dict.de.txt", "a", encoding="utf-8") as file:
            file.write("new 1\n")
    with pytest.raises(FeatureError, match="other data than is loaded .source dictionary: found"):
        open_all(4)
