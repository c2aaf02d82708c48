"""Agreement step that every recipe shares."""

from __future__ import annotations

from pathlib import Path

from fairseq_autoassist.features.agreement.files import NAMES
from recipes.common import agreement
from recipes.common.steps import Steps


def run(folder: Path) -> int:
    """Run the step and count the calls of its command."""
    runs: list[int] = []
    beside = folder / "data-bin" / "autoassist" / "train.en-ja"

    def write() -> None:
        beside.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (beside / name).write_text("x")
        runs.append(1)

    agreement.step(Steps(folder / "steps", 1), folder / "data-bin", ("en", "ja"), write)
    return len(runs)


def test_the_step_runs_once_and_again_after_a_file_is_deleted(tmp_path: Path) -> None:
    assert [run(tmp_path), run(tmp_path)] == [1, 0]
    for name in NAMES:
        (tmp_path / "data-bin" / "autoassist" / "train.en-ja" / name).unlink()
        assert [run(tmp_path), run(tmp_path)] == [1, 0], name
