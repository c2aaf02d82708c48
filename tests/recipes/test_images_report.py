"""Records after a crash, and the statistics, tables and figures made from records."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocess.text import UserError
from recipes.images import figures, report
from recipes.images.records import append, load, panels
from recipes.images.statistics import (
    cost_ratio,
    difference,
    reach,
    samples_ratio,
    target,
    time_ratio,
)
from tests.support.images import record


def test_the_newest_record_of_a_run_counts(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    append(path, record(errors=(0.5, 0.4)))
    append(path, record("random"))
    append(path, record(errors=(0.5, 0.1)))
    found = load(path)
    assert [r.run.arm for r in found] == ["sgd", "random"]
    assert found[0] == record(errors=(0.5, 0.1))


def test_a_line_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    append(path, record())
    append(path, record("random"))
    path.write_bytes(path.read_bytes()[:-40])
    assert [r.run.arm for r in load(path)] == ["sgd"]
    append(path, record("infobatch"))
    assert [r.run.arm for r in load(path)] == ["sgd", "infobatch"]


def test_no_records_are_refused(tmp_path: Path) -> None:
    assert load(tmp_path / "records.jsonl") == []
    with pytest.raises(UserError, match="found no records; expected"):
        panels([])


def test_an_error_is_reached_once_it_stays_below() -> None:
    dips = record(errors=(0.5, 0.1, 0.4, 0.2, 0.15))
    assert reach(dips, "samples", 0.2) == 400.0
    assert reach(dips, "seconds", 0.2) == pytest.approx(0.4)
    assert reach(dips, "samples", 0.5) == 100.0
    assert reach(dips, "samples", 0.1) is None


def test_an_error_equal_to_the_mean_of_others_is_reached() -> None:
    level = target(panel(record(errors=(0.0040,), seed=1), record(errors=(0.0042,), seed=2)))
    assert level < 0.0041  # by rounding
    assert reach(record(errors=(0.5, 0.0041)), "samples", level) == 200.0


def panel(*records):
    (found,) = panels(records)
    return found


def test_samples_and_time_are_ratios_to_the_baselines_whole_run() -> None:
    found = panel(
        record(errors=(0.5, 0.3, 0.2, 0.2), seed=1),
        record(errors=(0.5, 0.3, 0.2, 0.1), seed=2),
        record("random", errors=(0.5, 0.1, 0.1, 0.1), speed=500.0, seed=1),
        record("random", errors=(0.5, 0.3, 0.3, 0.1), speed=500.0, seed=2),
    )
    assert target(found) == pytest.approx(0.15)
    samples, seconds = samples_ratio(found, "random"), time_ratio(found, "random")
    assert samples is not None and seconds is not None
    assert samples.mean == pytest.approx(0.75) and samples.n == 2
    assert samples.low is not None and samples.low < 0.75
    assert seconds.mean == pytest.approx(1.5)
    assert cost_ratio(found, "random").mean == pytest.approx(2.0)
    assert samples_ratio(found, "sgd") is None  # its first seed ends above the mean
    losses = samples_ratio(found, "random", "train_loss")  # the same numbers as the errors
    assert losses == samples


def test_differences_are_paired_by_seed_and_share() -> None:
    found = panel(
        record(errors=(0.5, 0.30), seed=1),
        record(errors=(0.5, 0.20), seed=2),
        record("random", errors=(0.5, 0.25), seed=2),
        record("random", errors=(0.5, 0.40), seed=2, share=0.6),
    )
    whole = difference(found, ("random", 1.0), ("sgd", 1.0))
    assert whole is not None and whole.n == 1 and whole.mean == pytest.approx(0.05)
    part = difference(found, ("random", 0.6), ("sgd", 1.0))
    assert part is not None and part.mean == pytest.approx(0.2)
    assert difference(found, ("sgd", 0.6), ("random", 0.6)) is None
    rows = report.difference_table(found)
    assert rows[2:] == ["| SGD | - | -5.00 | - | - |", "| random | 5.00 | - | 20.00 | - |"]


def test_times_of_two_sessions_are_not_compared() -> None:
    found = panel(record(), record("random", session="two"))
    assert samples_ratio(found, "random") is not None
    assert time_ratio(found, "random") is None and cost_ratio(found, "random") is None
    assert [r.session for r in figures.one_session(found)] == ["one"]


def test_records_of_a_share_alone_make_a_report(tmp_path: Path) -> None:
    append(tmp_path / "records.jsonl", record(share=0.6))  # the deadline cut off the whole runs
    assert "error at 0.6" in report.write(tmp_path)
    assert figures.one_session(panel(record(share=0.6))) == []


def test_an_arm_without_a_whole_run_has_a_row(tmp_path: Path) -> None:
    append(tmp_path / "records.jsonl", record())
    append(tmp_path / "records.jsonl", record("autoassist", errors=(0.4, 0.3), share=0.6))
    text = report.write(tmp_path)
    assert "| AutoAssist | 0, 1 | - | 30.00 | - | - |" in text
    assert "| AutoAssist | 0.800 | 0.900 |" in text
    assert "| AutoAssist | 1.000 |" not in text  # times are those of whole runs


def test_the_report_has_a_row_for_each_arm() -> None:
    records = [
        record(seed=1),
        record(errors=(0.4, 0.3), share=0.6),
        record("autoassist", errors=(0.2, 0.1), choosing=0.25),
    ]
    text = report.text_of(records)
    assert "| SGD | 1 | 20.00 | 30.00 | 1.00 | 1.00 |" in text
    assert "| AutoAssist | 1, 0 | 10.00 | - | 0.50 | 0.50 |" in text
    assert "| AutoAssist | -10.00 | - | - | - |" in text
    assert "| SGD | 0.2000 | 0.3000 | 1.00 |" in text
    assert "| AutoAssist | 0.800 | 0.900 |" in text
    assert "| AutoAssist | 1.000 | 25.0 | 1.00 |" in text


def test_a_figure_is_drawn_only_where_records_have_its_data(tmp_path: Path) -> None:
    plain = panels([record(), record("random", session="two")])
    names = ["figure3_samples.png", "figure3_time.png"]
    assert [path.name for path in figures.draw(plain, tmp_path / "a")] == names
    both = panels([record(), record("autoassist")])
    drawn = figures.draw(both, tmp_path / "b")
    assert [path.name for path in drawn] == [*names, "figure6.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
