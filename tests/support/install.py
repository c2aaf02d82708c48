"""Make environments for tests of installation: a wheel of this checkout, and borrowed packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Iterable

from recipes.common.data import ROOT

OFFLINE = ["--no-index", "--no-build-isolation", "--no-deps", "--quiet"]


def call(*command: str | Path, folder: Path, **variables: str) -> str:
    """Run a command with few environment variables; returns its standard output."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    variables = {**kept, "OMP_NUM_THREADS": "1", **variables}
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env=variables, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed() -> list[Path]:
    """Files and folders of the running environment's packages, first found first."""
    here = Path(sysconfig.get_paths()["purelib"])
    folders = [here, *(Path(word) for word in sys.path if word.endswith("site-packages"))]
    return [path for folder in folders for path in sorted(folder.iterdir())]


def environment(folder: Path, borrowed: Iterable[Path]) -> Path:
    """Make an environment without pip; returns its Python.

    Args:
        folder: that becomes the environment
        borrowed: packages that are linked into it, since a copy of torch would take gigabytes
    """
    call(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder.parent)
    (site,) = folder.glob("lib/python*/site-packages")
    for path in borrowed:
        if not (site / path.name).exists():
            (site / path.name).symlink_to(path)
    return folder / "bin" / "python"


def source(folder: Path) -> Path:
    """Copy what the package is built from: a build leaves folders in its source."""
    folder.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fairseq_autoassist", folder / "fairseq_autoassist", ignore=unwanted)
    return folder


def install(python: Path, package: Path) -> None:
    """Install a wheel or a source folder into an environment, without the network."""
    pip = [sys.executable, "-m", "pip", "--python", python]
    call(*pip, "install", *OFFLINE, package, folder=package.parent)


def wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into a new folder, without the network; returns its path."""
    folder.mkdir()
    return wheel_of(source(folder / "source"), folder)


def wheel_of(package: Path, folder: Path) -> Path:
    """Build the wheel of a source folder, without the network; returns its path."""
    folder.mkdir(exist_ok=True)
    words = ["wheel", *OFFLINE, "--wheel-dir", folder, package]
    call(sys.executable, "-m", "pip", *words, folder=folder)
    (made,) = folder.glob("*.whl")
    return made
