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
from fairseq_autoassist.errors import ConfigError, FeatureError
from fairseq_autoassist.features.agreement.files import CODES_NAME
from fairseq_autoassist.features.binned import Codes
from fairseq_autoassist.plugin.data import open_features
from fairseq_autoassist.plugin.prior import OpenedPrior, open_prior
from tests.support.corpus import write_data_bin
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
    wanted = Codes(str(path), STATISTICS, BINS, found.codes.sha256, found.codes.command)
    assert found.codes == wanted
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
