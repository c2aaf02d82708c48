"""The step of a recipe that measures how well the two sides of each pair agree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable

from fairseq_autoassist.features.agreement.files import NAMES
from fairseq_autoassist.features.commands import feature_folder
from recipes.common.data import ROOT
from recipes.common.steps import Steps, run_command

MODULE = "fairseq_autoassist.cli.agreement"
VERSION = 2  # of what the command finds; a new number runs it again


def measure(data_bin: Path) -> None:
    """Run the command on a data-bin whose TF-IDF is there."""
    run_command([sys.executable, "-m", MODULE, str(data_bin.resolve())], cwd=ROOT)


def step(
    steps: Steps, data_bin: Path, langs: tuple[str, str], action: Callable[[], None] | None = None
) -> None:
    """Do it as one step of a recipe, after the features; `action` stands in for `measure`."""
    folder = feature_folder(data_bin, "train", *langs)
    outputs = [folder / name for name in NAMES]
    steps.run("agreement", {"version": VERSION}, outputs, action or (lambda: measure(data_bin)))
