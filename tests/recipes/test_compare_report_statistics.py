"""Statistics of the report against values by hand, scipy, and sacreBLEU's command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recipes.compare.significance import paired, resampled
from recipes.compare.statistics import (
    crossing,
    difference,
    estimate,
    mean_curve,
    ratio,
    reach,
    smooth,
    time_ratio,
)
from tests.support.compare_records import grouped, record, write_lines


def ending(arm: str, finals: dict[int, float], **changes: Any) -> list[dict[str, Any]]:
    """Make one record for each seed, which ends at the given BLEU."""
    return [record(arm, (10, 20, 28, bleu), seed=s, **changes) for s, bleu in finals.items()]


def test_the_interval_is_students_t() -> None:
    found = estimate([1.0, 2.0, 3.0])
    assert found is not None and found.low is not None
    assert found.mean == 2
    assert found.low == pytest.approx(2 - 4.302653 / 3**0.5)  # t(0.975, 2), from a printed table
    values = [30.1, 30.7, 29.6, 31.0, 30.2]
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert estimate(values)[1:3] == pytest.approx((theirs.low, theirs.high))  # type: ignore[index]


def test_one_value_has_no_interval_and_equal_ones_a_width_of_zero() -> None:
    assert estimate([]) is None
    one = estimate([5.0])
    assert one == (5.0, None, None, 1)
    assert one.above(-100) is None
    assert estimate([5.0, 5.0]) == (5.0, 5.0, 5.0, 2)


def test_difference_is_paired_by_seed() -> None:
    base = ending("uniform", {1: 30.0, 2: 35.0, 3: 40.0})
    paper = ending("paper", {2: 35.1, 3: 40.3, 4: 99.0})
    uniform, cell = grouped(*base, *paper)[0].cells
    found = difference(cell, uniform)
    theirs = stats.ttest_1samp([0.1, 0.3], 0).confidence_interval(0.95)
    assert found is not None
    assert found.n == 2
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, theirs.low, theirs.high))
    (only,) = grouped(*ending("spl", {9: 1.0}))[0].cells
    assert difference(only, uniform) is None


def test_a_ratio_of_times_pairs_seeds_that_both_arms_have() -> None:
    made = [record(seed=1), record(seed=2, seconds=3.0)]
    made += [record("paper", budget=0.7, seconds=2.0, seed=s) for s in (2, 3)]
    uniform, cell = grouped(*made)[0].cells
    assert ratio(cell, uniform, "tokens") == pytest.approx(0.7)
    # Seed 2 is divided by the baseline's seed 2, seed 3 by the mean of seeds 1 and 2.
    expected = (700 * 2 / 3000 + 700 * 2 / 2000) / 2
    assert time_ratio(cell, uniform) == pytest.approx(expected)
    assert time_ratio(cell, uniform, "cpu_s") == pytest.approx(expected)


@pytest.mark.parametrize(
    "other", [{"device": "gpu B"}, {"jobs": 1}, {"threads": 4}, {"tuning": {"MALLOC_A": "1"}}]
)
def test_times_under_other_conditions_have_no_ratio(other: dict[str, Any]) -> None:
    uniform, cell = grouped(record(), record("paper", budget=0.7, **other))[0].cells
    assert time_ratio(cell, uniform) is None
    assert reach(cell, uniform).wall is None
    assert ratio(cell, uniform, "tokens") == pytest.approx(0.7)
    mixed = [record("paper", budget=0.7), record("paper", budget=0.7, seed=2, seconds=9, **other)]
    uniform, cell = grouped(record(), *mixed)[0].cells
    assert time_ratio(cell, uniform) == pytest.approx(0.7)


def test_times_are_divided_within_each_condition() -> None:
    fast = {"device": "gpu B", "seconds": 0.1}
    made = [record(seed=1), record(seed=2, **fast), record("paper", budget=0.7, seed=2)]
    made.append(record("paper", budget=0.7, seed=1, device="gpu B", seconds=0.05))
    uniform, cell = grouped(*made)[0].cells
    assert time_ratio(cell, uniform) == pytest.approx((0.7 + 0.35) / 2)


def test_crossing_and_smoothing_give_the_values_by_hand() -> None:
    assert crossing([1, 2, 3], [10, 20, 30], 25) == pytest.approx(2.5)
    assert crossing([1, 2, 3], [10, 20, 20], 20) == 2
    assert crossing([1, 2, 3], [10, 20, 30], 5) == 1
    assert crossing([1, 2, 3], [10, 20, 30], 31) is None
    assert list(smooth([10, 30, 20, 40])) == [10, 25, 25, 40]


def test_one_lucky_mark_does_not_reach_the_target() -> None:
    base = record(bleu=(10, 20, 25, 30))
    lucky = record("paper", bleu=(10, 31, 21, 29))  # smoothed: 10, 26, 26, 29
    uniform, cell = grouped(base, lucky)[0].cells
    found = reach(cell, uniform)
    assert (found.target, found.tokens, found.wall) == (30, None, None)
    assert (found.seeds, found.best) == (0, 29)
    falling = record("paper", bleu=(10, 31, 21, 23))  # smoothed: 10, 25, 25, 25
    uniform, cell = grouped(base, falling)[0].cells
    assert reach(cell, uniform).best == 25


def test_the_baselines_end_is_reached_by_the_mean_curve() -> None:
    base = [record(bleu=(10, 20, 25, 29)), record(bleu=(10, 20, 25, 31), seed=2)]
    paper = [record("paper", (10, 26, 32, 32), 0.8, seed=s, seconds=1.5) for s in (1, 2)]
    paper[1]["marks"] = record("paper", (10, 20, 26, 26), 0.8, 2, 1.5)["marks"]
    uniform, cell = grouped(*base, *paper)[0].cells
    # The mean curve at updates 200, 400, 600, 800 is 10, 23, 29, 29: it never reaches 30.
    assert reach(cell, uniform).tokens is None
    assert reach(cell, uniform).seeds == 1
    paper[1]["marks"] = record("paper", (10, 30, 32, 32), 0.8, 2, 1.5)["marks"]
    uniform, cell = grouped(*base, *paper)[0].cells
    # The mean curve is 10, 28, 32, 32: it reaches 30 half-way from update 400 to 600.
    found = reach(cell, uniform)
    assert (found.tokens, found.wall) == pytest.approx((0.5, 0.75))
    assert found.seeds == 2
    assert reach(uniform, uniform).tokens == pytest.approx(1.0)
    assert reach(uniform, uniform).seeds == 1  # one of them ends below their mean


def test_mean_curve_is_over_common_updates() -> None:
    runs = [[{"update": 1, "a": 1.0}, {"update": 2, "a": 2.0}, {"update": 3, "b": 1.0}]]
    runs.append([{"update": 2, "a": 4.0}, {"update": 3, "a": 9.0}])
    curve = mean_curve(runs, ["a"])
    assert (list(curve["update"]), list(curve["a"])) == ([2], [3])
    assert len(mean_curve([], ["a"])["a"]) == 0


def test_bootstrap_agrees_with_sacrebleus_command(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    words = [f"w{i}" for i in range(30)]
    references = [" ".join(rng.choice(words, 12)) for _ in range(60)]

    def spoilt(share: float) -> list[str]:
        lines = []
        for line in references:
            keep = rng.random(12) > share
            lines.append(" ".join(w if k else "x" for w, k in zip(line.split(), keep)))
        return lines

    systems = {"base": spoilt(0.2), "near": spoilt(0.19), "bad": spoilt(0.28)}
    write_lines(tmp_path / "ref", references)
    for name, lines in systems.items():
        write_lines(tmp_path / name, lines)
    command = [sys.executable, "-m", "sacrebleu", str(tmp_path / "ref"), "-i"]
    command += [str(tmp_path / name) for name in systems]
    command += ["-m", "bleu", "--paired-bs", "--paired-bs-n", "1000", "-f", "json", "-w", "6"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    rows = json.loads(done.stdout)
    theirs = {row["system"].rsplit("/", 1)[-1]: row["BLEU"] for row in rows}
    draws = {name: resampled(lines, references) for name, lines in systems.items()}
    base, cell = grouped(record(), record("paper"))[0].cells
    for name, surely in (("near", False), ("bad", True)):
        own = {base.records[0].run: draws["base"], cell.records[0].run: draws[name]}
        test = paired(cell, base, own)
        assert test is not None
        assert (test.low > 0 or test.high < 0) == surely
        assert (theirs[name]["p_value"] < 0.025) == surely  # sacreBLEU's test is one-sided
    # The resampled scores have sacreBLEU's mean and spread.
    for name, scores in draws.items():
        row = next(theirs[key] for key in theirs if name in key.lower())
        assert scores.shape == (1000,)
        assert float(scores.mean()) == pytest.approx(row["mean"], abs=0.5)
        half = float(np.diff(np.percentile(scores, [2.5, 97.5]))[0]) / 2
        assert half == pytest.approx(row["ci"], rel=0.2)


def test_the_interval_over_sentences_is_of_the_mean_over_seeds() -> None:
    up, down, zero = np.linspace(0.0, 1.0, 1001), np.linspace(1.0, 0.0, 1001), np.zeros(1001)
    made = ending("uniform", {1: 30.0, 2: 30.0, 3: 30.0}) + ending("paper", {1: 30.4, 2: 30.6})
    base, cell = grouped(*made)[0].cells
    first, second = (r.run for r in cell.records)
    draws = {r.run: zero for r in base.records}
    alike = paired(cell, base, {**draws, first: up, second: up})
    assert alike == (2, pytest.approx(0.5), pytest.approx(0.025), pytest.approx(0.975))
    # One seed gains what the other loses.
    opposed = paired(cell, base, {**draws, first: up, second: down})
    assert opposed == (2, pytest.approx(0.5), pytest.approx(0.5), pytest.approx(0.5))
    assert paired(cell, base, draws) is None  # no translations of the cell
