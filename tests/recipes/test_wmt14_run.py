"""WMT14's recipe from archives to scores, on a small stand-in of the same layout.

The tests call the scripts as a user does; training goes through recipes/launch/.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from preprocess.text import read_lines
from recipes.wmt14_en_de import standin
from recipes.wmt14_en_de.settings import MODELS, SCALES
from tests.support.checkpoints import checkpoint_state
from tests.support.corpus import ROOT, data_folder
from tests.support.processes import alive, children, wait_for

pytestmark = pytest.mark.timeout(280)
TINY = SCALES["tiny"]
TIMEOUT = 240  # seconds for one command on a busy machine
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


@contextlib.contextmanager
def started(output: Path, script: str, *words: object) -> Iterator[subprocess.Popen]:
    """Start a script of the recipe; it and its child processes end with the block."""
    command = [sys.executable, "-m", f"recipes.{script}", *map(str, words)]
    with open(output, "w") as stream:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            for pid in [process.pid, *children(process.pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def run(output: Path, script: str, *words: object) -> str:
    """Run a script to its end; returns its output."""
    with started(output, script, *words) as process:
        status = process.wait(TIMEOUT)
    said = output.read_text(errors="replace")
    assert status == 0, said[-4000:]
    return said


class Recipe:
    """Scripts of the recipe on a stand-in, all in one folder."""

    def __init__(self, folder: Path, vocab: str) -> None:
        self.folder, self.vocab = folder, vocab
        self.out = folder / "out"
        self.data = self.out / vocab
        self.output = folder / "output"
        self.stand_in = ["--stand-in", folder / "stand-in", "--scale", "tiny"]

    def prepare(self, *words: object) -> str:
        return run(self.output, "wmt14_en_de.prepare", *self.prepare_words(*words))

    def prepare_words(self, *words: object) -> list[object]:
        return [*self.stand_in, "--out", self.out, "--vocab", self.vocab, "--workers", 1, *words]

    def train_words(self, model: str, *words: object) -> list[object]:
        return ["--model", model, "--data", self.out, "--vocab", self.vocab, *words]

    def train(self, model: str, *words: object) -> str:
        words = ("--scale", "tiny", *words)
        return run(self.output, "wmt14_en_de.train", *self.train_words(model, *words))

    def average(self, folder: Path) -> str:
        return run(self.output, "common.average", "--run", folder, "--last", TINY.average)

    def evaluate(self, model: str, folder: Path) -> dict:
        words = self.train_words(model, "--run", folder, "--cpu")
        run(self.output, "wmt14_en_de.evaluate", *words)
        return json.loads((folder / "scores.json").read_text())


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_folder()  # skips without Multi30k
    folder = tmp_path_factory.mktemp("wmt14")
    parts = standin.at_hand(1800)
    parts["newstest2013"], parts["newstest2014"] = (
        parts["newstest2013"][:40],
        parts["newstest2014"][:12],
    )
    standin.pack(parts, folder / "stand-in")
    return folder


@pytest.fixture(scope="module")
def recipe(archives: Path) -> Recipe:
    """Recipe whose data are prepared with the paper's vocabularies."""
    recipe = Recipe(archives, "paper")
    plan = recipe.prepare("--dry-run")
    assert len(re.findall(r"^\[\d/6\] \S+ +to do", plan, re.M)) == 6
    assert "1,800 training pairs" in plan and "GB free" in plan
    assert not recipe.out.exists()
    said = recipe.prepare()
    assert "train, in pieces:" in said and "dropped" in said
    return recipe


def trained(folder: Path) -> int:
    """Number of updates in the last checkpoint."""
    state = checkpoint_state(folder / "checkpoint_last.pt")
    return int(state["optimizer_history"][-1]["num_updates"])


def test_a_second_preparation_reuses_all_steps(recipe: Recipe) -> None:
    assert recipe.prepare().count(": reused") == 6
    plan = recipe.prepare("--dry-run")
    assert len(re.findall(r"^\[\d/6\] \S+ +done", plan, re.M)) == 6 and "0.00 GB needed" in plan
    sizes = [
        len(list(read_lines(recipe.data / "data-bin" / f"dict.{x}.txt"))) for x in ("en", "de")
    ]
    assert sizes == [TINY.vocabularies["paper"].source - 1, TINY.vocabularies["paper"].target - 1]
    kept = {
        name: len(list(read_lines(recipe.data / "pieces" / name)))
        for name in ("train.en", "train.de", "valid.en", "test.de")
    }
    assert kept["train.en"] == kept["train.de"] > 900
    assert (kept["valid.en"], kept["test.de"]) == (40, 12)


def test_the_base_model_is_trained_averaged_and_scored(recipe: Recipe) -> None:
    folder = recipe.data / "base"
    said = recipe.train("base")
    assert "translation_autoassist" in said and "aa_keep" in said
    updates = int(said.split(" updates of ")[0].rsplit(" ", 1)[1].replace(",", ""))
    assert trained(folder) == updates
    assert len(list(folder.glob("checkpoint_*_*.pt"))) == TINY.average
    recipe.average(folder)
    scores = recipe.evaluate("base", folder)
    assert "tok:13a" in scores["BLEU"]["signature"]
    assert len(list(read_lines(folder / "hypotheses.txt"))) == 12


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("method", ["autoassist", "baseline"])
def test_every_model_trains(recipe: Recipe, model: str, method: str) -> None:
    folder = recipe.folder / f"{model}-{method}"
    words = ["--baseline"] if method == "baseline" else []
    said = recipe.train(model, "--run", folder, *words)
    assert ("aa_keep" in said) is (method == "autoassist")
    recipe.average(folder)
    assert recipe.evaluate(model, folder)["BLEU"]["score"] >= 0


@pytest.mark.slow
def test_a_joint_vocabulary_shares_dictionaries_and_embeddings(
    archives: Path, recipe: Recipe
) -> None:
    joint = Recipe(archives, "joint")
    said = joint.prepare()
    assert said.count(": reused") == 2  # raw and text
    dictionaries = [(joint.data / "data-bin" / f"dict.{x}.txt").read_text() for x in ("en", "de")]
    assert dictionaries[0] == dictionaries[1]
    folder = joint.data / "big"
    assert "--share-all-embeddings" in joint.train("big")
    joint.average(folder)
    joint.evaluate("big", folder)


@pytest.mark.slow
def test_another_launcher_trains_on_two_ranks(recipe: Recipe) -> None:
    folder = recipe.folder / "two-ranks"
    words = ["--launch", "env RANKS=2 recipes/launch/cpu_gloo.sh", "--gpus", 2]
    recipe.train("base", "--run", folder, *words)
    assert (folder / "rank1.log").is_file() and (folder / "checkpoint_last.pt").is_file()


@pytest.mark.slow
def test_a_stopped_training_resumes(recipe: Recipe) -> None:
    folder = recipe.folder / "stopped"
    words = recipe.train_words("base", "--run", folder, "--scale", "tiny")
    with started(recipe.output, "wmt14_en_de.train", *words) as process:
        wait_for(lambda: list(folder.glob("checkpoint_1_*.pt")), TIMEOUT, "a checkpoint")
        below = [process.pid, *children(process.pid)]
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        wait_for(lambda: not any(alive(pid) for pid in below), 30, "all processes to end")
    said = recipe.train("base", "--run", folder)
    assert "Loaded checkpoint" in said and "checkpoint_last.pt" in said
    words = next(line for line in said.splitlines() if line.startswith("$ ")).split()
    assert trained(folder) == int(words[words.index("--max-update") + 1])


@pytest.mark.slow
def test_a_stopped_preparation_resumes(archives: Path, tmp_path: Path) -> None:
    (tmp_path / "stand-in").symlink_to(archives / "stand-in")
    recipe = Recipe(tmp_path, "paper")
    pieces = recipe.data / "pieces"
    with started(recipe.output, "wmt14_en_de.prepare", *recipe.prepare_words()) as process:
        wait_for(lambda: (pieces / "valid.de").is_file(), TIMEOUT, "encoded text")
        below = [process.pid, *children(process.pid)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
        assert not any(alive(pid) for pid in below)
    assert "resumes from here" in recipe.output.read_text()
    said = recipe.prepare()
    assert said.count(": reused") >= 3
    assert (recipe.data / "data-bin" / "autoassist").is_dir()
