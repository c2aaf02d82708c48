"""Benchmarks run and write their results; `make bench` measures real speed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.corpus import ROOT, data_folder

KEYS = ["name", "value", "unit", "target", "met"]


def bench(path, *names):
    command = [sys.executable, "-m", "benchmarks.run", "--tiny", "--output", str(path), *names]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(
    "names",
    [
        ("build", "score", "decide", "plan", "learn"),
        pytest.param(("train",), marks=pytest.mark.slow),
    ],
)
def test_the_runner_writes_results_in_the_promised_form(names, tmp_path):
    if "train" in names:
        data_folder()
    path = tmp_path / "bench.json"
    done = bench(path, *names)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(path.read_text())
    for result in results:
        assert list(result) == KEYS
        assert isinstance(result["value"], (int, float)) and result["value"] >= 0
        assert (result["target"] is None) == (result["met"] is None)
        assert result["name"] in done.stdout
    assert len({result["name"] for result in results}) == len(results)
    assert sum(result["target"] is not None for result in results) >= len(names)


def test_an_unknown_benchmark_is_refused(tmp_path):
    done = bench(tmp_path / "bench.json", "speed")
    assert done.returncode == 2 and "there are: build" in done.stderr
    assert not (tmp_path / "bench.json").exists()


def test_every_benchmark_finds_what_it_imports():
    """Import all in a process of their own: one changes sys.path, and GPU benchmarks do not run."""
    names = [f"benchmarks.{path.stem}" for path in sorted((ROOT / "benchmarks").glob("[a-z]*.py"))]
    program = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    command = [sys.executable, "-c", program, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert len(names) > 5 and done.returncode == 0, done.stderr
