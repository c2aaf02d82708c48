"""Step of a recipe that measures how well the two sides of each pair agree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable

from fairseq_autoassist.features.agreement.files import NAMES
from fairseq_autoassist.features.commands import feature_folder
from recipes.common.data import ROOT
from recipes.common.steps import Steps, run_command

MODULE = "fairseq_autoassist.cli.agreement"
VERSION = 3  # version of the command's results; a new number runs the step again


def measure(data_bin: Path) -> None:
    """Run autoassist-agreement on a data-bin that has TF-IDF features."""
    run_command([sys.executable, "-m", MODULE, str(data_bin.resolve())], cwd=ROOT)


def step(
    steps: Steps, data_bin: Path, langs: tuple[str, str], action: Callable[[], None] | None = None
) -> None:
    """Measure agreement as a step of a recipe, after the features; `action` replaces `measure`."""
    folder = feature_folder(data_bin, "train", *langs)
    outputs = [folder / name for name in NAMES]
    steps.run("agreement", {"version": VERSION}, outputs, action or (lambda: measure(data_bin)))
