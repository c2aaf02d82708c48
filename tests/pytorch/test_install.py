"""``pip install .`` in an environment without fairseq: the program of docs/pytorch.md trains."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from recipes.common.data import ROOT
from tests.pytorch.test_page import FIRST
from tests.support.mnist import small_mnist

# packages that the page names, with their dependencies: the environment has no others
NEEDED = ["torch", "numpy", "scipy", "typing_extensions", "sympy", "mpmath", "networkx", "jinja2"]
NEEDED += [
    "markupsafe",
    "filelock",
    "fsspec",
    "functorch",
    "torchgen",
    "setuptools",
    "_distutils_hack",
    "wheel",
]
NEEDED += ["numpy.libs", "scipy.libs", "nvidia", "triton"]


def call(*command: str | Path, folder: Path, **variables: str) -> str:
    """Run a command with few environment variables; returns what it printed."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environment = {**kept, "OMP_NUM_THREADS": "1", **variables}
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def borrow(site: Path) -> None:
    """Link `NEEDED` into an environment: a copy of torch would take gigabytes."""
    here = Path(sysconfig.get_paths()["purelib"])
    folders = [here, *(Path(word) for word in sys.path if word.endswith("site-packages"))]
    for name in NEEDED:
        for folder in folders:
            for path in (folder / name, folder / f"{name}.py", *folder.glob(f"{name}-*.dist-info")):
                if path.exists() and not (site / path.name).exists():
                    (site / path.name).symlink_to(path)


@pytest.mark.timeout(290)
def test_the_program_trains_without_fairseq(tmp_path):
    venv = tmp_path / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", venv, folder=tmp_path)
    python = venv / "bin" / "python"
    (site,) = venv.glob("lib/python*/site-packages")
    borrow(site)
    source = tmp_path / "source"  # a build leaves folders in its source
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "fairseq_autoassist", source / "fairseq_autoassist")
    offline = ["--no-index", "--no-build-isolation", "--no-deps", "--quiet"]
    pip = [sys.executable, "-m", "pip", "--python", python]
    call(*pip, "install", *offline, source, folder=tmp_path)

    absent = "import importlib.util as u; print([n for n in %r if u.find_spec(n)])"
    names = ["fairseq", "omegaconf", "sklearn", "fairseq_autoassist"]
    assert call(python, "-c", absent % names, folder=tmp_path) == "['fairseq_autoassist']\n"
    (tmp_path / "program.py").write_text(FIRST, encoding="utf-8")
    data = str(small_mnist(tmp_path / "data"))
    printed = call(python, "program.py", folder=tmp_path, AUTOASSIST_DATA=data)
    assert [line[:7] for line in printed.splitlines()] == ["epoch 0", "epoch 1", "epoch 2"]
