"""A data-bin with features, for tests that break it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.agreement import COUNT, with_features
from tests.support.corpus import multi30k_pairs


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data-bin of words with features; not to be changed."""
    return with_features(tmp_path_factory.mktemp("made") / "bin", multi30k_pairs("train", COUNT))


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """Copy of the data-bin that a test may break."""
    return Path(shutil.copytree(made, tmp_path / "bin"))
