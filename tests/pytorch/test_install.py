"""``pip install .`` in an environment without fairseq: the program of docs/pytorch.md trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pytorch.test_page import FIRST
from tests.support.install import call, environment, install, installed, source
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


def needed(path: Path) -> bool:
    """Whether a file or folder of site-packages belongs to `NEEDED`."""
    name = path.name[: -len(".dist-info")].rsplit("-", 1)[0] if path.suffix == ".dist-info" else ""
    return path.name in NEEDED or path.name.removesuffix(".py") in NEEDED or name in NEEDED


@pytest.mark.timeout(290)
def test_the_program_trains_without_fairseq(tmp_path):
    python = environment(tmp_path / "venv", filter(needed, installed()))
    install(python, source(tmp_path / "source"))

    absent = "import importlib.util as u; print([n for n in %r if u.find_spec(n)])"
    names = ["fairseq", "omegaconf", "sklearn", "fairseq_autoassist"]
    assert call(python, "-c", absent % names, folder=tmp_path) == "['fairseq_autoassist']\n"
    (tmp_path / "program.py").write_text(FIRST, encoding="utf-8")
    data = str(small_mnist(tmp_path / "data"))
    printed = call(python, "program.py", folder=tmp_path, AUTOASSIST_DATA=data)
    assert [line[:7] for line in printed.splitlines()] == ["epoch 0", "epoch 1", "epoch 2"]
