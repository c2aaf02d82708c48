"""Programs of docs/pytorch.md: they run, on a part of MNIST."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import subprocess
import sys

import pytest

from fairseq_autoassist.pytorch import AutoAssist
from recipes.common.data import ROOT
from tests.support.mnist import small_mnist

PAGE = (ROOT / "docs" / "pytorch.md").read_text(encoding="utf-8")
FIRST, ACCELERATED = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def run(tmp_path):
    """Function that runs a program beside ``mnist.py``; it returns the printed lines of epochs."""
    (tmp_path / "mnist.py").write_text(FIRST, encoding="utf-8")
    data = small_mnist(tmp_path / "data")

    def run_program(text: str) -> list[str]:
        (tmp_path / "program.py").write_text(text, encoding="utf-8")
        places = {
            "AUTOASSIST_DATA": str(data),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        }
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env={**os.environ, **places, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return [line for line in done.stdout.splitlines() if line.startswith("epoch ")]

    return run_program


def test_the_program_has_at_most_60_lines():
    assert len(FIRST.splitlines()) <= 60
    assert "fairseq_autoassist.pytorch" in FIRST and "import fairseq\n" not in FIRST


def test_the_program_trains_and_resumes_where_it_was_stopped(run):
    stopped = FIRST.replace("range(assist.epoch, EPOCHS)", "range(assist.epoch, 2)")
    assert stopped != FIRST
    lines = run(stopped) + run(FIRST)
    assert [line.split(":")[0] for line in lines] == ["epoch 0", "epoch 1", "epoch 2"]
    errors = [float(re.search(r"test error ([0-9.]+)%", line).group(1)) for line in lines]
    assert errors[-1] < 60.0  # chance is 90%, with ten classes


def test_the_program_for_accelerate_trains_and_resumes_where_it_was_stopped(run):
    if importlib.util.find_spec("accelerate") is None:
        pytest.skip("accelerate is not installed")
    stopped = ACCELERATED.replace("range(assist.epoch, EPOCHS)", "range(assist.epoch, 2)")
    assert stopped != ACCELERATED
    lines = run(stopped) + run(ACCELERATED)
    assert [line.split(":")[0] for line in lines] == ["epoch 0", "epoch 1", "epoch 2"]


def test_arguments_are_those_of_the_class():
    rows = re.findall(r"^\| `([a-z_`, ]+)` \|", PAGE, flags=re.MULTILINE)[:10]
    assert len(rows) == 10  # so that a pattern that finds nothing cannot pass
    named = {name for row in rows for name in row.replace("`", "").split(", ")}
    assert named <= set(inspect.signature(AutoAssist).parameters)
