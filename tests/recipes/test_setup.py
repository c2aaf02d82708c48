"""Set-up script: refusal of an unusable Python in one line, environments, and a kept torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.common.data import ROOT

SCRIPT = ROOT / "tools" / "setup_env.sh"


def set_up(venv: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        [str(SCRIPT), str(venv)], env=environment, capture_output=True, text=True, timeout=120
    )


def write_torch(packages: Path, calls_itself: str, known_as: str) -> None:
    """Write a package like torch for a GPU, as pip would install it."""
    torch, info = packages / "torch", packages / f"torch-{known_as}.dist-info"
    torch.mkdir(parents=True)
    info.mkdir()
    (torch / "__init__.py").write_text(f"__version__ = '{calls_itself}'\nfrom . import version\n")
    (torch / "version.py").write_text("cuda = '1'\n")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {known_as}\n")
    (info / "RECORD").write_text(
        f"torch/__init__.py,,\ntorch/version.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n"
    )


@pytest.fixture
def old_python(tmp_path: Path) -> str:
    """Path of a script that prints the version of Python 3.7 and fails at any other call."""
    path = tmp_path / "bin" / "python3"
    path.parent.mkdir()
    path.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.7.17\nexit 1\n')
    path.chmod(0o755)
    return str(path)


def test_a_named_python_that_is_too_old_is_refused(tmp_path: Path, old_python: str) -> None:
    result = set_up(tmp_path / "venv", PYTHON=old_python)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "Python 3.7.17" in result.stderr
    assert "expected CPython 3.11, 3.12 or 3.13" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_a_path_without_a_suitable_python_is_refused(tmp_path: Path, old_python: str) -> None:
    for tool in ("bash", "env", "dirname", "cat", "cksum", "head"):
        found = next(
            Path(folder) / tool
            for folder in os.environ["PATH"].split(os.pathsep)
            if (Path(folder) / tool).exists()
        )
        (tmp_path / "bin" / tool).symlink_to(found)
    result = set_up(tmp_path / "venv", PATH=str(tmp_path / "bin"))
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: found no suitable Python (python3 is Python 3.7.17); expected CPython 3.11, 3.12 "
        "or 3.13, 64 bit, with venv: install one, or name it with PYTHON=... make ..."
    ]
    assert not (tmp_path / "venv").exists()


def test_an_environment_without_pip_is_made_again(tmp_path: Path) -> None:
    """Ctrl-C during ensurepip leaves such an environment."""
    venv = tmp_path / "venv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=120
    )
    variables = {"PYTHON": sys.executable, "TORCH": "0.0.0", "PIP_NO_INDEX": "1"}
    result = set_up(venv, **variables)
    assert result.returncode != 0 and "No module named pip" not in result.stderr
    assert "torch==0.0.0" in result.stderr  # pip runs and finds no such version
    # A call that names nothing uses what the last one named.
    (venv / ".setup-named").write_text(f"0.0.0\n{sys.executable}\n{ROOT}\n")
    result = set_up(venv, PIP_NO_INDEX="1")
    assert result.returncode != 0 and "torch==0.0.0" in result.stderr


def test_an_environment_of_a_checkout_that_was_moved_is_made_anew(
    tmp_path: Path, old_python: str
) -> None:
    venv = tmp_path / "venv"
    venv.mkdir()
    for place in (str(ROOT), "/where/it/was"):
        (venv / ".setup-named").write_text(f"default\n{old_python}\n{place}\n")
        result = set_up(venv, PYTHON=old_python)
        assert result.returncode == 1
        assert venv.exists() == (place == str(ROOT))
    assert f"{venv} was made in /where/it/was: making it anew" in result.stdout


def test_later_steps_are_pinned_to_the_version_that_pip_knows(tmp_path: Path) -> None:
    """PyPI's CUDA build is 2.13.0 to pip, but its __version__ is 2.13.0+cu130."""
    write_torch(tmp_path / "packages", "9.9+cu1", "9.9")
    venv, packages = tmp_path / "venv", str(tmp_path / "packages")
    result = set_up(venv, PYTHON=sys.executable, PYTHONPATH=packages, PIP_NO_INDEX="1")
    assert "keeping torch 9.9+cu1" in result.stdout
    assert (venv / "torch-constraint.txt").read_text() == "torch==9.9\n"


def test_a_kept_torch_replaces_an_installed_one(tmp_path: Path) -> None:
    kept = tmp_path / "packages"
    write_torch(kept, "9.9+cu1", "9.9")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    site = next(venv.glob("lib/python*/site-packages"))
    write_torch(site, "8.8", "8.8")
    result = set_up(venv, PYTHON=sys.executable, PYTHONPATH=str(kept), PIP_NO_INDEX="1")
    assert "keeping torch 9.9+cu1" in result.stdout
    words = [str(venv / "bin" / "python"), "-c", "import torch; print(torch.__version__)"]
    done = subprocess.run(words, env={}, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "9.9+cu1\n"


def test_an_activated_environment_does_not_keep_its_own_torch(tmp_path: Path) -> None:
    """Keeping it would write a path file that reads itself without end."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    site = next(venv.glob("lib/python*/site-packages"))
    write_torch(site, "9.9+cu1", "9.9")
    path = os.pathsep.join([str(venv / "bin"), os.environ["PATH"]])
    result = set_up(venv, PATH=path, TORCH="0.0.0", PIP_NO_INDEX="1")  # stops at torch
    assert "torch==0.0.0" in result.stderr and "keeping" not in result.stdout
    result = set_up(venv, PATH=path, TORCH="9.9+cu1", PIP_NO_INDEX="1")
    assert "keeping" not in result.stdout and not (site / "kept-torch.pth").exists()
