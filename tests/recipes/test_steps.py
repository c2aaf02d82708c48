"""Steps: run once, repeated after a change, resumed after an interruption."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recipes.common.steps import Steps, child, run_command, stoppable
from tests.support.processes import wait_for


class Recipe:
    """Recipe of two steps, the second after the first, that notes which of them ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.did: list[str] = []

    def __call__(self, first: int = 1, second: int = 1, fail: bool = False) -> list[str]:
        steps = Steps(self.folder / "steps", 2)
        self.did = []
        one, two = self.folder / "one", self.folder / "two"
        steps.run("one", {"value": first}, [one], lambda: self.write(one))
        steps.run("two", {"value": second}, [two], lambda: self.write(two, fail))
        return self.did

    def write(self, path: Path, fail: bool = False) -> None:
        self.did.append(f"{path.name} resumed" if path.exists() else path.name)
        path.mkdir(exist_ok=True)
        if fail:
            raise KeyboardInterrupt


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path)


def test_a_second_call_reuses_both_steps(
    recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recipe() == ["one", "two"]
    assert recipe() == []
    assert "[1/2] one: reused" in capsys.readouterr().out


def test_a_changed_step_and_the_later_ones_run_again(recipe: Recipe) -> None:
    recipe()
    assert recipe(second=2) == ["two"]
    assert recipe(first=2, second=2) == ["one", "two"]


def test_a_missing_output_is_made_again(recipe: Recipe) -> None:
    recipe()
    (recipe.folder / "two").rmdir()
    assert recipe() == ["two"]


def test_an_interrupted_step_resumes_only_with_the_same_settings(recipe: Recipe) -> None:
    with pytest.raises(KeyboardInterrupt):
        recipe(fail=True)
    assert recipe() == ["two resumed"]
    with pytest.raises(KeyboardInterrupt):
        recipe(second=2, fail=True)
    assert recipe(second=3) == ["two"]
    with pytest.raises(KeyboardInterrupt):
        recipe(second=4, fail=True)
    assert recipe(second=3) == ["two"]  # the step with 4 removed the output of 3


def test_an_output_that_the_recipe_did_not_make_is_moved_aside(
    recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    for attempt, done in (("1", ["one", "two"]), ("2", ["two"])):
        by_hand = recipe.folder / "two"
        by_hand.mkdir()
        (by_hand / "model").write_text(attempt)
        assert recipe() == done
        assert f"moved to two.{attempt}" in capsys.readouterr().out
        assert (recipe.folder / f"two.{attempt}" / "model").read_text() == attempt
        assert not (by_hand / "model").exists()
        by_hand.rmdir()
        for stamp in (recipe.folder / "steps").glob("two.*"):
            stamp.unlink()


def test_a_step_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    steps = Steps(tmp_path, 1)
    with pytest.raises(SystemExit, match="step lazy ended without writing"):
        steps.run("lazy", {}, [tmp_path / "absent"], lambda: None)
    assert not (tmp_path / "lazy.done").exists()


def test_a_failed_command_gives_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="found no command no-such-command"):
        run_command(["no-such-command"], tmp_path)
    with pytest.raises(SystemExit, match="failed with status 3"):
        run_command([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)
    assert "-c 'raise SystemExit(3)'\n" in capsys.readouterr().out  # quoted as in a shell


def test_no_process_outlives_its_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(SystemExit) as stop, stoppable("make it"):
        with child(sleep, tmp_path) as process:
            raise KeyboardInterrupt
    assert stop.value.code == 130
    # SIGTERM comes before SIGKILL, so that a command can end its own processes.
    begun, told = tmp_path / "begun", tmp_path / "told"
    asked = f"trap 'echo > {told}; exit' TERM; echo > {begun}; while :; do sleep 0.02; done"
    with pytest.raises(KeyboardInterrupt), child(["bash", "-c", asked], tmp_path):
        wait_for(begun.exists, 20, "the command to begin")
        raise KeyboardInterrupt
    assert told.exists()
    assert process.returncode is not None
    assert "`make it` resumes from here" in capsys.readouterr().err
