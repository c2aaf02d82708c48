"""What a record says of the environment it was made in."""

from __future__ import annotations

import os

import pytest

from recipes.compare.record import tuning


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
