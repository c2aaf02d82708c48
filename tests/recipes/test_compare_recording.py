"""Environment, sessions and time for features in the record of a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.compare.matrices import run_of
from recipes.compare.recording import features_seconds, note_session, resumed, tuning
from tests.support import compare


def test_tuning_holds_variables_that_change_speed_and_no_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(os.environ):
        if name in tuning():
            monkeypatch.delenv(name)
    assert tuning() == {}
    # No process starts here; the variables are only read.
    monkeypatch.setenv("LD_PRELOAD", "/home/someone/liba.so /usr/lib/libb.so:libc.so")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "8000000000")
    monkeypatch.setenv("HOMES_OF_MALLOC_", "no")
    assert tuning() == {
        "LD_PRELOAD": "liba.so:libb.so:libc.so",
        "MALLOC_TRIM_THRESHOLD_": "8000000000",
    }


def test_a_run_resumed_under_other_conditions_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOASSIST_COMMIT", "aaaaaaa")
    assert resumed(tmp_path) == ""
    for begin in (True, False):  # interrupted, then resumed under the same conditions
        note_session(tmp_path, cpu=True, begin=begin)
    assert resumed(tmp_path) == ""
    monkeypatch.setenv("AUTOASSIST_JOBS", "7")
    note_session(tmp_path, cpu=True, begin=False)
    first, second = resumed(tmp_path).split("; ")
    assert first.startswith("aaaaaaa, ") and "7 jobs" in second and "7 jobs" not in first
    note_session(tmp_path, cpu=True, begin=True)  # begun anew
    assert resumed(tmp_path) == ""


def test_seconds_of_features_are_those_of_the_features_that_an_arm_reads(tmp_path: Path) -> None:
    corpus = shutil.copytree(compare.corpora() / "multi30k", tmp_path / "multi30k")
    account = json.loads((corpus / "pairs.json").read_text())
    took = account["features_s"]
    assert set(took) == {"tfidf", "agreement"} and min(took.values()) > 0
    reads = {
        "uniform": 0.0,
        "infobatch": 0.0,
        "spl": 0.0,
        "band": took["tfidf"],
        "default": sum(took.values()),
    }
    for arm, seconds in reads.items():
        assert features_seconds(run_of(f"multi30k.tiny.{arm}.b100.s1"), corpus) == seconds


@pytest.mark.timeout(120)
def test_a_run_loads_the_package_after_fairseq() -> None:
    """Else `--user-dir` would not register the task: the package registers it at its import."""
    code = "import sys; import recipes.compare.one_run; print('fairseq_autoassist' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
