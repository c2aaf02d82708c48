"""Training by each arm, and runs side by side."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from preprocess.text import UserError
from recipes.images import choosing, run, side_by_side
from recipes.images.arms import ARMS
from recipes.images.matrices import MATRICES, matrix
from recipes.images.noise import add_noise
from recipes.images.records import NAME, append, load
from recipes.images.side_by_side import SideBySide, perform
from recipes.images.spec import Run
from recipes.images.train import Clock, OutOfTime, Pace, Timed, Training
from tests.support import images

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan in this process: the batches are the same, and no worker has to start."""
    made = {
        name: arm._replace(options={**arm.options, "inline": True}) for name, arm in ARMS.items()
    }
    monkeypatch.setattr(choosing, "ARMS", made)


@pytest.mark.parametrize("arm", list(ARMS))
def test_every_arm_trains_on_the_same_number_of_samples(arm: str, inline: None) -> None:
    data = images.small()
    found = Training(images.run_of(arm), data, CPU).do()
    assert found["samples"] == 64 and found["curve"]["samples"] == [32.0, 64.0]
    assert found["seconds"] > found["choosing_seconds"] > 0
    assert 0.0 <= found["test_error"] <= 1.0 and np.isfinite(found["train_loss"])


def test_the_wait_for_a_batch_counts_as_choosing_and_reading_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def sampler() -> Iterator[list[int]]:
        for ids in ([1, 2], [3]):
            now[0] += 2.0
            yield ids

    clock = Clock(CPU)
    found = []
    for ids in Timed(sampler(), clock):
        now[0] += 10.0
        found.append(ids)
    assert (found, clock.choosing) == ([[1, 2], [3]], 4.0)


def test_the_host_stays_few_updates_ahead_of_a_gpu() -> None:
    log: list[tuple[str, int]] = []

    class Event:
        def __init__(self, blocking: bool) -> None:
            self.number = sum(what == "record" for what, _ in log)

        def record(self) -> None:
            log.append(("record", self.number))

        def synchronize(self) -> None:
            log.append(("wait", self.number))

    pace = Pace(torch.device("cuda"), Event)
    for _ in range(4):
        pace.step()
    assert log == [
        *(("record", number) for number in (0, 1, 2)),
        ("wait", 0),
        ("record", 3),
        ("wait", 1),
    ]


def test_the_pace_is_kept_after_each_update(inline: None, monkeypatch: Any) -> None:
    training = Training(images.run_of("sgd"), images.small(), CPU)
    updates = []
    monkeypatch.setattr(training.pace, "step", lambda: updates.append(training.counts.sum()))
    training.do()
    assert updates == [16, 32, 48, 64]


def test_training_learns_and_repeats_with_the_same_seed(inline: None) -> None:
    how = images.run_of("autoassist", budget=1200, width=4, rate=0.1)
    first, again = (Training(how, images.small(), CPU).do() for _ in range(2))
    assert first["test_error"] < 0.2
    assert first["curve"]["train_loss"] == again["curve"]["train_loss"]
    assert {"acc", "majority"} <= set(first["curve"])


def test_the_share_of_wrong_labels_is_recorded(inline: None) -> None:
    data = images.small()
    add_noise(data, 0.4)
    found = Training(images.run_of("sgd", budget=96), data, CPU).do()
    wrong = float((data.labels != data.true_labels).mean())
    assert found["wrong_labels"] == found["wrong_trained"] == pytest.approx(wrong)


def test_the_seconds_exclude_measuring(inline: None, monkeypatch: Any) -> None:
    training = Training(images.run_of("sgd", marks=4), images.small(), CPU)
    measure = training.measure

    def slow(pairs: Any) -> tuple[float, float]:
        time.sleep(0.2)
        return measure(pairs)

    monkeypatch.setattr(training, "measure", slow)
    begun = time.perf_counter()
    found = training.do()
    assert found["seconds"] <= time.perf_counter() - begun - 8 * 0.2


def test_a_training_ends_at_the_first_mark_after_its_deadline(inline: None) -> None:
    training = Training(images.run_of("sgd"), images.small(), CPU, deadline=time.time() - 1.0)
    with pytest.raises(OutOfTime):
        training.do()
    assert training.counts.sum() == 32


@pytest.mark.parametrize("wrong", [{"arm": "adam"}, {"model": "vgg"}, {"share": 0.0}, {"batch": 0}])
def test_wrong_settings_of_a_run_are_refused(wrong: dict[str, Any]) -> None:
    settings = {"data": "mnist", "model": "resnet18", "arm": "sgd", "budget": 100, **wrong}
    with pytest.raises(UserError, match="expected"):
        Run(**settings)


def test_a_share_of_the_budget_has_its_share_of_the_updates() -> None:
    whole, part = (images.run_of(budget=1600, share=share, marks=20) for share in (1.0, 0.4))
    assert (whole.updates, part.updates) == (100, 40)
    assert max(part.mark_after()) == 40 and len(part.mark_after()) == 20
    assert len(images.run_of(budget=48, marks=20).mark_after()) == 3


@pytest.mark.parametrize("name", list(MATRICES))
def test_the_runs_of_a_matrix_differ_and_each_has_its_baseline(name: str) -> None:
    runs = matrix(name)
    assert len({r.id for r in runs}) == len(runs)
    of = {(r.data, r.model, r.share, r.seed, r.arm) for r in runs}
    assert all((*key[:4], "sgd") in of for key in of)


def test_runs_that_fail_or_find_no_time_do_not_end_the_others(tmp_path: Path) -> None:
    queue = SideBySide(images.place(tmp_path), images.pretend, "fork")
    runs = [images.run_of(seed=seed) for seed in (1, 13, 14, 2)]
    found = [record.run.seed for record in queue.make(runs)]
    assert sorted(found) == [1, 2]
    assert [r.seed for r in queue.failed] == [13]
    assert [r.seed for r in queue.left] == [14]


def test_no_run_begins_that_would_end_too_late(tmp_path: Path) -> None:
    where = images.place(tmp_path, jobs=1, deadline=time.time() + 120.0)
    queue = SideBySide(where, images.pretend, "fork")
    first, long = images.run_of(), images.run_of(budget=10_000_000, seed=2)
    assert [record.run.seed for record in queue.make([first, long])] == [1]
    assert queue.left == [long]


def test_an_interrupt_leaves_no_process(tmp_path: Path) -> None:
    queue = SideBySide(images.place(tmp_path, jobs=2), images.linger, "fork")
    making = queue.make([images.run_of()])

    def interrupted(pipes: Any) -> list:
        while not (tmp_path / "pid").is_file():
            time.sleep(0.05)
        raise KeyboardInterrupt

    side_by_side.wait, kept = interrupted, side_by_side.wait
    try:
        with pytest.raises(KeyboardInterrupt):
            next(making)
    finally:
        side_by_side.wait = kept
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


class InThisProcess(SideBySide):
    """Stand-in that makes the runs in this process, one after another."""

    def make(self, runs: Any) -> Any:
        """Yield the record of each run."""
        return (perform(one, self.place) for one in runs)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, inline: None) -> None:
    """Replace every matrix by three tiny runs on a small set."""
    runs = [images.run_of(arm) for arm in ("sgd", "random", "autoassist")]
    monkeypatch.setattr(run, "matrix", lambda name: runs)
    monkeypatch.setattr(run, "SideBySide", InThisProcess)
    monkeypatch.setattr(run.sets, "load", lambda *where: images.small())


def call(out: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run.main(["quick", "--out", str(out), "--cpu", "--jobs", "2", *words])
    return ended.value.code


def test_a_matrix_leaves_records_report_and_figures(few: None, tmp_path: Path, capsys: Any) -> None:
    assert call(tmp_path) == 0
    assert len(load(tmp_path / NAME)) == 3
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {NAME, "report.md", *(f"figure{x}.png" for x in ("3_samples", "3_time", "6"))}
    assert "| AutoAssist |" in (tmp_path / "report.md").read_text()
    capsys.readouterr()
    assert call(tmp_path) == 0
    assert "3 runs on cpu, 3 of them reused" in capsys.readouterr().out
    assert call(tmp_path, "--budget", "32") == 0
    assert "3 runs on cpu, 0 of them reused" in capsys.readouterr().out


def test_a_set_smaller_than_a_batch_is_refused(few: None, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(run.sets, "load", lambda *where: images.small(15))
    with pytest.raises(UserError, match="has 15 training images; expected a batch, 16, or more"):
        run.main(["quick", "--out", str(tmp_path), "--cpu"])


def test_runs_on_another_folder_of_photos_are_made_again(tmp_path: Path) -> None:
    runs = [Run(name, "resnet18", "sgd", budget=64) for name in ("photos", "mnist")]
    first, other = (replace(images.place(tmp_path), photos=tmp_path / name) for name in "ab")
    for one in runs:
        made = images.record()
        append(tmp_path / NAME, replace(made, run=one, settings=one.settings, place=first.facts))
    assert run.to_do(runs, first, tmp_path / NAME) == []
    assert run.to_do(runs, other, tmp_path / NAME) == runs[:1]
    assert run.to_do(runs, images.place(tmp_path), tmp_path / NAME) == runs[:1]


def test_an_interrupt_between_two_records_ends_the_other_runs(
    few: None, tmp_path: Path, monkeypatch: Any
) -> None:
    ended = []

    class Pretending(SideBySide):
        def make(self, runs: Any) -> Any:
            try:
                yield images.record()
            finally:
                ended.append(True)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "SideBySide", Pretending)
    monkeypatch.setattr(run, "append", interrupted)
    with pytest.raises(SystemExit) as found:  # its traceback keeps the generator alive
        run.main(["quick", "--out", str(tmp_path), "--cpu"])
    assert found.value.code == 130 and ended == [True]


@pytest.mark.parametrize("words", [("--jobs", "0"), ("--budget-minutes", "0")])
def test_values_of_flags_below_one_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="expected"):
        run.main(["quick", *words])


@pytest.mark.slow
def test_a_run_and_its_assistant_work_in_two_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("n01", "n02"):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for number in range(12):
                pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.JPEG")
    settings = {"budget": 480, "batch": 4, "width": 2, "side": 32, "marks": 2}
    runs = [Run("photos", "resnet18", arm, **settings) for arm in ("sgd", "autoassist")]
    monkeypatch.setattr(run, "matrix", lambda name: runs)
    words = ("--photos", str(tmp_path / "photos"), "--cache", str(tmp_path / "cache"))
    assert call(tmp_path / "out", *words) == 0
    records = load(tmp_path / "out" / NAME)
    assert sorted(record.run.arm for record in records) == ["autoassist", "sgd"]
    assert len({record.session for record in records}) == 1
    found = next(record for record in records if record.run.arm == "autoassist")
    assert found.ends["samples"] == 480 and found.curve["gamma"][-1] > 0.0
