"""The step that measures agreement, in every recipe."""

from __future__ import annotations

from pathlib import Path

from fairseq_autoassist.features.agreement.files import NAMES
from recipes.common import agreement
from recipes.common.steps import Steps


def run(folder: Path) -> int:
    """Do the step; returns how often its command ran."""
    runs: list[int] = []
    beside = folder / "data-bin" / "autoassist" / "train.en-ja"

    def write() -> None:
        beside.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (beside / name).write_text("x")
        runs.append(1)

    agreement.step(Steps(folder / "steps", 1), folder / "data-bin", ("en", "ja"), write)
    return len(runs)


def test_it_is_done_once_and_again_where_a_file_is_gone(tmp_path: Path) -> None:
    assert [run(tmp_path), run(tmp_path)] == [1, 0]
    for name in NAMES:
        (tmp_path / "data-bin" / "autoassist" / "train.en-ja" / name).unlink()
        assert [run(tmp_path), run(tmp_path)] == [1, 0], name
