"""The step that measures agreement, in every recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.common import agreement
from recipes.common.steps import Steps


def run(folder: Path) -> int:
    """Do the step; returns how often its command ran."""
    runs: list[int] = []
    beside = folder / "data-bin" / "autoassist" / "train.en-ja"

    def write() -> None:
        beside.mkdir(parents=True, exist_ok=True)
        for name in agreement.NAMES:
            (beside / name).write_text("x")
        runs.append(1)

    steps = Steps(folder / "steps", 1)
    agreement.step(steps, folder / "data-bin", ("en", "ja"), write)
    return len(runs)


def test_it_is_done_once_and_again_where_features_are_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "is_there", lambda: True)
    assert [run(tmp_path), run(tmp_path)] == [1, 0]
    (tmp_path / "data-bin" / "autoassist" / "train.en-ja" / "prior").unlink()
    assert run(tmp_path) == 1


def test_without_the_command_it_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(agreement, "MODULE", "fairseq_autoassist.nothing.agreement.cli")
    assert run(tmp_path) == 0
    assert "agreement: left out, since there is no" in capsys.readouterr().out
