"""The wheel in an environment of its own, used from another folder, beside fairseq."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.support.corpus import ROOT, multi30k_data_bin
from tests.support.install import call, environment, install, installed, source, wheel, wheel_of
from tests.support.training import COMMON, PLUGIN, TINY

USER_DIR = "fairseq_autoassist"  # a name: fairseq finds the package beside itself
# fairseq-train as pip writes it, and then the file that --user-dir loaded
TRAIN = """import os, sys
from fairseq_cli.train import cli_main
cli_main()
print("loaded", os.path.normpath(sys.modules["fairseq_autoassist.plugin.task"].__file__))
"""


def foreign(path: Path) -> bool:
    """Whether a file of site-packages is not of this package: an editable install must not win."""
    return path.suffix != ".pth" and "autoassist" not in path.name.lower()


def wheels_files(path: Path) -> set[str]:
    """Paths inside a wheel, without its metadata."""
    with zipfile.ZipFile(path) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def packaged_files() -> set[str]:
    """Paths that the wheel must hold: the modules of the package, and the mark of its types."""
    modules = (ROOT / "fairseq_autoassist").rglob("*.py")
    return {p.relative_to(ROOT).as_posix() for p in modules} | {"fairseq_autoassist/py.typed"}


@pytest.mark.timeout(290)
def test_the_wheel_trains_from_another_folder(tmp_path: Path) -> None:
    built = wheel(tmp_path / "build")
    assert wheels_files(built) == packaged_files()

    python = environment(tmp_path / "venv", filter(foreign, installed()))
    install(python, built)
    shutil.rmtree(tmp_path / "build")
    away = tmp_path / "away"
    away.mkdir()
    shutil.copytree(multi30k_data_bin(200, 20), away / "data-bin")
    where = "import fairseq_autoassist as package; print(package.__file__)"
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    package = site / "fairseq_autoassist"
    assert call(python, "-c", where, folder=away) == f"{package / '__init__.py'}\n"

    call(python.with_name("autoassist-tfidf"), "data-bin", folder=away)
    train = python.with_name("fairseq-train")
    train.write_text(f"#!{python}\n{TRAIN}", encoding="utf-8")
    train.chmod(0o755)
    plugin = [word if word != PLUGIN[1] else USER_DIR for word in PLUGIN]
    words = [*TINY["transformer"], *COMMON, *plugin, "--max-update", "3", "--cpu"]
    printed = call(train, "data-bin", *words, "--save-dir", "checkpoints", folder=away)
    assert printed.splitlines()[-1] == f"loaded {package / 'plugin' / 'task.py'}"
    assert '"aa_pass"' in printed
    assert (away / "checkpoints" / "checkpoint_last.pt").exists()


def test_a_wheel_holds_no_module_that_is_gone(tmp_path: Path) -> None:
    """An earlier `pip install .` in the same checkout leaves its modules in build/lib."""
    package = source(tmp_path / "source")
    gone = package / "fairseq_autoassist" / "gone.py"
    gone.write_text("")
    assert "fairseq_autoassist/gone.py" in wheels_files(wheel_of(package, tmp_path / "one"))
    gone.unlink()
    assert wheels_files(wheel_of(package, tmp_path / "two")) == packaged_files()
