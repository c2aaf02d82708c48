"""The step of a recipe that measures how well the two sides of each pair agree."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Callable

from fairseq_autoassist.core.manifest import feature_folder
from recipes.common.data import ROOT
from recipes.common.steps import Steps, run_command

MODULE = "fairseq_autoassist.features.agreement.cli"
NAMES = ("prior", "agreement.json")  # of what it leaves in the folder of the features


def is_there() -> bool:
    """Whether the plugin of this checkout has the command."""
    try:
        return importlib.util.find_spec(MODULE) is not None
    except ModuleNotFoundError:
        return False


def measure(data_bin: Path) -> None:
    """Run the command on a data-bin whose TF-IDF is there."""
    run_command([sys.executable, "-m", MODULE, str(data_bin.resolve())], cwd=ROOT)


def step(
    steps: Steps, data_bin: Path, langs: tuple[str, str], action: Callable[[], None] | None = None
) -> None:
    """Do it as one step of a recipe, after the features; `action` stands in for `measure`."""
    folder = feature_folder(data_bin, "train", *langs)
    outputs = [folder / name for name in NAMES]
    if is_there():
        steps.run("agreement", {}, outputs, action or (lambda: measure(data_bin)))
    else:
        print(f"agreement: left out, since there is no {MODULE} in this checkout", flush=True)
