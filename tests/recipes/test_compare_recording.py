"""What a record says of the environment it was made in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recipes.compare.recording import note_session, resumed, tuning


def test_tuning_names_what_changes_speed_and_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name in tuning():
            monkeypatch.delenv(name)
    assert tuning() == {}
    # nothing is started here: the variables only have to be read
    monkeypatch.setenv("LD_PRELOAD", "/home/someone/liba.so /usr/lib/libb.so:libc.so")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "8000000000")
    monkeypatch.setenv("HOMES_OF_MALLOC_", "no")
    assert tuning() == {
        "LD_PRELOAD": "liba.so:libb.so:libc.so",
        "MALLOC_TRIM_THRESHOLD_": "8000000000",
    }


def test_a_run_that_went_on_elsewhere_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOASSIST_COMMIT", "aaaaaaa")
    assert resumed(tmp_path) == ""
    for begin in (True, False):  # interrupted, and went on under the same
        note_session(tmp_path, cpu=True, begin=begin)
    assert resumed(tmp_path) == ""
    monkeypatch.setenv("AUTOASSIST_JOBS", "7")
    note_session(tmp_path, cpu=True, begin=False)
    first, second = resumed(tmp_path).split("; ")
    assert first.startswith("aaaaaaa, ") and "7 jobs" in second and "7 jobs" not in first
    note_session(tmp_path, cpu=True, begin=True)  # from nothing again
    assert resumed(tmp_path) == ""
