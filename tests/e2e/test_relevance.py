"""Real runs that choose by what `autoassist-relevance` wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.relevance import main as write_relevance
from tests.e2e.test_failures import refused
from tests.support.corpus import make_data_bin, multi30k_pairs
from tests.support.training import PLUGIN, find, train

pytestmark = pytest.mark.timeout(120)
EACH = 200  # pairs of captions, then as many that have nothing to do with them
QUIET = ["--disable-validation", "--no-save", "--max-update", 60]
WAYS = {
    "relevance": ["--autoassist-strategy", "relevance"],
    "autoassist": ["--autoassist-relevance", "--autoassist-guard-pairs", 0],
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half captions, half numbers of pages; validation on captions."""
    from fairseq_autoassist.tfidf.cli import main as build_features

    other = [
        (f"see page {i} of part {i % 7} , line {i % 31}", f"siehe Seite {i} , Zeile {i % 31}")
        for i in range(EACH)
    ]
    folder = tmp_path_factory.mktemp("mixed") / "data-bin"
    make_data_bin(folder, [*multi30k_pairs("train", EACH), *other], multi30k_pairs("val", 60))
    assert build_features([str(folder)]) == 0
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_a_run_trains_on_pairs_like_those_of_the_validation_set(mixed, tmp_path, way) -> None:
    data = shutil.copytree(mixed, tmp_path / "data")
    words = [*PLUGIN, *WAYS[way], *QUIET]
    said = refused(data, tmp_path, *words)
    assert f"make them with: autoassist-relevance {data}" in said
    assert write_relevance([str(data)]) == 0
    result = train(data, tmp_path, *words).ok()
    assert not find(result, "| ERROR |")
    trained = np.concatenate(result.ids())
    assert (trained < EACH).mean() > 0.85
    assert float(result.updates[-1]["aa_saved"]) > 0.3
