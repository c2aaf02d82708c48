"""`autoassist-reference` on a real model, and a run that uses what it wrote."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.store import Features
from fairseq_autoassist.reference import main
from fairseq_autoassist.text.binarized import BinarizedSide
from tests.e2e.test_failures import refused
from tests.support.corpus import change_text
from tests.support.training import (
    PLUGIN,
    SHRINK,
    USER_DIR,
    copy_data_bin,
    data_bin,
    find,
    run,
    train,
)

pytestmark = pytest.mark.timeout(120)
LANGS = ["en", "de"]
QUIET = ["--disable-validation", "--no-epoch-checkpoints"]
EXCESS = [*PLUGIN, *SHRINK, "--autoassist-utility", "excess", "--disable-validation", "--no-save"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model trained by this plugin for a moment."""
    folder = tmp_path_factory.mktemp("model")
    train(data_bin(), folder, *PLUGIN, *QUIET, "--max-update", 30).ok()
    return folder / "checkpoint_last.pt"


def folder_of(data: Path) -> Path:
    return feature_folder(data, "train", "en", "de")


def test_losses_are_those_of_fairseq_validate(tmp_path, model, capsys, monkeypatch) -> None:
    data = copy_data_bin(tmp_path / "data")
    assert main([str(data), "--path", str(model), "--cpu", "--max-tokens", "500"]) == 0
    assert "400 pairs, mean loss" in capsys.readouterr().out
    losses = np.array(Features.open(folder_of(data)).reference)
    sizes = np.asarray(BinarizedSide(data / "train.en-de.de").sizes)
    said = run(
        "fairseq_cli.validate",
        *[
            data,
            "--user-dir",
            USER_DIR,
            "--task",
            "translation",
            "--path",
            model,
            "--valid-subset",
            "train",
            "--cpu",
        ],
        *["--max-tokens", 500, "--log-format", "simple"],
    ).ok()
    nll = float(re.search(r"nll_loss (\d+\.\d+)", said.output)[1]) * np.log(2)  # of bits
    assert (losses * sizes).sum() / sizes.sum() == pytest.approx(nll, abs=2e-3)
    assert losses.std() > 0.05
    # whatever the batches are, and named as in a run of this plugin installed elsewhere
    plugin = ["--task", "translation_autoassist", "--criterion", "autoassist_cross_entropy"]
    words = [str(data), *plugin, "--user-dir", "elsewhere/fairseq_autoassist", "--cpu"]
    words += ["--path", str(model), "--batch-size", "7"]
    monkeypatch.setattr(sys, "argv", ["autoassist-reference", *words])
    assert main() == 0
    np.testing.assert_allclose(Features.open(folder_of(data)).reference, losses, rtol=1e-4)


def test_a_run_by_excess(tmp_path, model) -> None:
    data = copy_data_bin(tmp_path / "data")
    assert main([str(data), "--path", str(model), "--cpu"]) == 0
    result = train(data, tmp_path / "save", *EXCESS, "--max-update", 90).ok()
    assert float(result.updates[-1]["aa_saved"]) > 0.05 and not find(result, "| ERROR |")


def test_a_run_by_excess_without_a_reference_ends_before_training(tmp_path) -> None:
    said = refused(data_bin(), tmp_path, *EXCESS, "--max-update", 5)
    assert "make them with: autoassist-reference" in said


@pytest.mark.parametrize(
    "flag, sides", [("--max-source-positions", ["en"]), ("--max-tokens", LANGS)]
)
def test_pairs_that_are_too_long_are_not_known_and_counted(
    tmp_path, model, capsys, flag, sides
) -> None:
    data = copy_data_bin(tmp_path / "data")
    words = [str(data), "--path", str(model), "--cpu", flag, "15"]
    assert main(words) == 0
    losses = np.array(Features.open(folder_of(data)).reference)
    sizes = [np.asarray(BinarizedSide(data / f"train.en-de.{side}").sizes) for side in sides]
    long = np.max(sizes, axis=0) > 15
    assert 0 < long.sum() < len(long)
    np.testing.assert_array_equal(np.isnan(losses), long)
    assert f"{long.sum()} too long for the model" in capsys.readouterr().out
    result = train(data, tmp_path / "save", *EXCESS, "--max-update", 40).ok()
    assert np.isfinite(float(result.updates[-1]["aa_T"]))


@pytest.mark.parametrize(
    "case",
    [
        *["two data-bins", "no path", "no file", "no features", "other dictionaries"],
        *["other text", "no known loss"],
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(
    tmp_path, model, capsys, case
) -> None:
    data = copy_data_bin(tmp_path / "data")
    words = [str(data), "--cpu", *([] if case == "no path" else ["--path", str(model)])]
    expected = "expected one checkpoint of the reference model"
    if case == "no file":
        words[-1] = str(tmp_path / "none.pt")
        expected = "is no file, expected a checkpoint of fairseq-train"
    elif case == "two data-bins":
        words[0] = f"{data}:{data}"
        expected = "found 2 data-bins"
    elif case == "no features":
        shutil.rmtree(data / "autoassist")
        expected = "autoassist-tfidf"
    elif case == "other text":
        change_text(data)
        expected = "tokens of the target: found"
    elif case == "no known loss":
        words += ["--max-tokens", "1"]
        expected = "gives a loss to none of 400 pairs"
    elif case == "other dictionaries":
        with open(data / "dict.de.txt", "a", encoding="utf-8") as stream:
            stream.write("".join(f"more{i} 1\n" for i in range(8)))
        expected = "autoassist-tfidf"  # the features are of the other dictionary
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert said.splitlines()[-1].startswith("autoassist-reference: error: ") and expected in said
    left = list(data.rglob("*reference*"))
    assert not left
