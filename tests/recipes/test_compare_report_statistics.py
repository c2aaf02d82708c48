"""Statistics of the report against figures known by hand, scipy's own, and sacreBLEU's command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from recipes.compare.bar import answers, judge, judged, verdict
from recipes.compare.notes import notes
from recipes.compare.records import parse
from recipes.compare.sections import Section, sections
from recipes.compare.significance import comparisons, paired
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
from tests.support.compare_records import record, write_lines


def grouped(*made: dict[str, Any]) -> list[Section]:
    return sections([parse(raw, Path("runs") / raw["run"], raw["run"]) for raw in made])


def ending(arm: str, finals: dict[int, float], **changes: Any) -> list[dict[str, Any]]:
    """One record a seed that ends at the given BLEU."""
    return [record(arm, (10, 20, 28, bleu), seed=s, **changes) for s, bleu in finals.items()]


def test_interval_is_students() -> None:
    found = estimate([1.0, 2.0, 3.0])
    assert found is not None and found.low is not None
    assert found.mean == 2
    assert found.low == pytest.approx(2 - 4.302653 / 3**0.5)  # t(0.975, 2), from a printed table
    values = [30.1, 30.7, 29.6, 31.0, 30.2]
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert estimate(values)[1:3] == pytest.approx((theirs.low, theirs.high))  # type: ignore[index]


def test_few_or_equal_values() -> None:
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


def test_ratios_of_cost() -> None:
    made = [record(seed=1), record(seed=2, seconds=3.0), record("paper", budget=0.7, seconds=2.0)]
    uniform, cell = grouped(*made)[0].cells
    assert ratio(cell, uniform, "tokens") == pytest.approx(0.7)
    assert time_ratio(cell, uniform) == pytest.approx(700 * 2 / 2000)
    assert time_ratio(cell, uniform, "cpu_s") == pytest.approx(0.7)


@pytest.mark.parametrize(
    "other", [{"device": "gpu B"}, {"jobs": 1}, {"threads": 4}, {"tuning": {"MALLOC_A": "1"}}]
)
def test_times_of_other_conditions_are_no_ratio(other: dict[str, Any]) -> None:
    uniform, cell = grouped(record(), record("paper", budget=0.7, **other))[0].cells
    assert time_ratio(cell, uniform) is None
    assert reach(cell, uniform).wall is None
    assert ratio(cell, uniform, "tokens") == pytest.approx(0.7)
    mixed = [record("paper", budget=0.7), record("paper", budget=0.7, seed=2, seconds=9, **other)]
    uniform, cell = grouped(record(), *mixed)[0].cells
    assert time_ratio(cell, uniform) == pytest.approx(0.7)


def test_each_condition_has_its_own_scale() -> None:
    fast = {"device": "gpu B", "seconds": 0.1}
    made = [record(seed=1), record(seed=2, **fast), record("paper", budget=0.7, seed=1)]
    made.append(record("paper", budget=0.7, seed=2, device="gpu B", seconds=0.05))
    uniform, cell = grouped(*made)[0].cells
    assert time_ratio(cell, uniform) == pytest.approx((0.7 + 0.35) / 2)


def test_crossing_by_hand() -> None:
    assert crossing([1, 2, 3], [10, 20, 30], 25) == pytest.approx(2.5)
    assert crossing([1, 2, 3], [10, 20, 20], 20) == 2
    assert crossing([1, 2, 3], [10, 20, 30], 5) == 1
    assert crossing([1, 2, 3], [10, 20, 30], 31) is None
    assert list(smooth([10, 30, 20, 40])) == [10, 25, 25, 40]


def test_one_lucky_mark_does_not_reach_the_target() -> None:
    base = record(bleu=(10, 20, 25, 30))
    lucky = record("paper", bleu=(10, 31, 21, 29))  # rising: 10, 26, 26, 29
    uniform, cell = grouped(base, lucky)[0].cells
    found = reach(cell, uniform)
    assert (found.target, found.tokens, found.wall) == (30, None, None)
    assert (found.seeds, found.best) == (0, 29)
    falling = record("paper", bleu=(10, 31, 21, 23))  # rising: 10, 25, 25, 25
    uniform, cell = grouped(base, falling)[0].cells
    assert reach(cell, uniform).best == 25


def test_reaching_the_baselines_end() -> None:
    base = [record(bleu=(10, 20, 25, 29)), record(bleu=(10, 20, 25, 31), seed=2)]
    paper = [record("paper", (10, 26, 32, 32), 0.8, seed=s, seconds=1.5) for s in (1, 2)]
    paper[1]["marks"] = record("paper", (10, 20, 26, 26), 0.8, 2, 1.5)["marks"]
    uniform, cell = grouped(*base, *paper)[0].cells
    # mean curve at updates 200, 400, 600, 800: 10, 23, 29, 29: never 30
    assert reach(cell, uniform).tokens is None
    assert reach(cell, uniform).seeds == 1
    paper[1]["marks"] = record("paper", (10, 30, 32, 32), 0.8, 2, 1.5)["marks"]
    uniform, cell = grouped(*base, *paper)[0].cells
    # 10, 28, 32, 32: 30 is half-way between the marks at 400 and 600 updates
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


def test_bootstrap_is_that_of_sacrebleus_command(tmp_path: Path) -> None:
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
    ours = paired(systems["base"], [systems["near"], systems["bad"]], references)
    base = next(row["BLEU"]["score"] for row in rows if "base" in row["system"].lower())
    for name, (delta, p) in zip(("near", "bad"), ours):
        assert p == pytest.approx(theirs[name]["p_value"], abs=1e-6)
        assert delta == pytest.approx(theirs[name]["score"] - base, abs=1e-5)
    assert ours[0][1] > 0.05 > ours[1][1]


def bar_records(corpus: str, gain: float, seconds: float = 1.0) -> list[dict[str, Any]]:
    """Uniform ends at 30, random at 29, paper at 30 plus `gain`; seeds differ by 0.05."""
    made = []
    for seed in (1, 2, 3):
        step = 0.05 * seed
        made.append(record("uniform", (20, 30 + step), seed=seed, corpus=corpus))
        made.append(record("random", (20, 29 + step), 0.7, seed, corpus=corpus))
        bleu = (20, 30 + gain + 2 * step)
        made.append(record("paper", bleu, 0.7, seed, seconds, corpus=corpus))
    return made


def test_the_bar() -> None:
    good = answers(grouped(*bar_records("multi30k", -0.1))[0])[1]
    assert good.cell.name == "paper 0.70"
    assert (good.tokens, good.wall) == pytest.approx((0.7, 0.7))
    assert (good.non_inferior, good.saves, good.over_random) == (True, True, True)
    # at most 0.70 of the tokens and 0.75 of the time, less what batches round
    for tokens, wall, saves in ((0.704, 0.754, True), (0.706, 0.7, False), (0.7, 0.756, False)):
        assert replace(good, tokens=tokens, wall=wall).saves is saves
    # mean difference -0.2, interval -0.2 -+ 0.12: reaches below -0.3
    bad = answers(grouped(*bar_records("multi30k", -0.3))[0])[1]
    assert (bad.non_inferior, bad.saves, bad.over_random) == (False, False, True)
    slow = answers(grouped(*bar_records("multi30k", 0.5, seconds=1.2))[0])[1]
    assert (slow.non_inferior, slow.saves) == (True, False)
    whole = [record("paper", (20, 31 + 0.05 * s), 1.0, s, seconds=0.5) for s in (1, 2, 3)]
    quick = answers(grouped(*bar_records("multi30k", 0.5), *whole)[0])[1]
    assert (quick.tokens, quick.wall, quick.saves) == (1.0, 0.5, False)
    worse = answers(grouped(*bar_records("multi30k", -1.1))[0])[1]
    assert worse.over_random is False


def test_the_bar_does_not_guess() -> None:
    one = [raw for raw in bar_records("multi30k", 0.5) if raw["seed"] == 1]
    answer = answers(grouped(*one)[0])[1]
    assert (answer.non_inferior, answer.saves, answer.over_random) == (None, None, None)
    moved = [{**r, "device": r["arm"]} for r in bar_records("multi30k", 0.5)]
    answer = answers(grouped(*moved)[0])[1]
    assert (answer.wall, answer.non_inferior, answer.saves) == (None, True, None)
    assert answers(grouped(record("paper"))[0]) == []


def test_times_of_runs_that_shared_a_gpu_give_no_verdict() -> None:
    shared = [{**r, "device": "NVIDIA X", "jobs": 18} for r in bar_records("multi30k", 0.5)]
    answer = answers(grouped(*shared)[0])[1]
    assert (answer.wall, answer.non_inferior, answer.saves) == (None, True, None)
    alone = [{**r, "jobs": 1} for r in shared]
    assert answers(grouped(*alone)[0])[1].saves is True


def test_the_longest_runs_are_judged() -> None:
    def doubled(made: dict[str, Any]) -> dict[str, Any]:
        marks = [{**mark, "update": 2 * mark["update"]} for mark in made["marks"]]
        return {**made, "updates": 2 * made["updates"], "marks": marks}

    longer = [doubled(r) for r in bar_records("multi30k", -1.0) if r["seed"] < 3]
    ((_, answer),) = judge(grouped(*bar_records("multi30k", 0.1), *longer), "paper", "transformer")
    assert answer.section.updates == 2000 and answer.non_inferior is False
    # of one length on two devices those of more runs
    few = [{**r, "device": "gpu B"} for r in bar_records("multi30k", -1.0) if r["seed"] < 3]
    for made in ([*few, *bar_records("multi30k", 0.1)], [*bar_records("multi30k", 0.1), *few]):
        ((_, answer),) = judge(grouped(*made), "paper", "transformer")
        assert answer.non_inferior is True


def test_the_budget_that_is_judged() -> None:
    def arm(name: str, budget: float, bleu: float) -> list[dict[str, Any]]:
        return [record(name, (20, bleu + 0.05 * seed), budget, seed) for seed in (1, 2, 3)]

    def budget(made: list[dict[str, Any]]) -> float:
        answer = judged([a for a in answers(grouped(*made)[0]) if a.cell.arm == "paper"])
        assert answer is not None
        return answer.cell.budget

    made = arm("uniform", 1.0, 30)
    made += arm("paper", 1.0, 31)
    assert budget(made) == 1.0  # nothing spends little enough
    made += arm("paper", 0.5, 25) + arm("paper", 0.55, 26)
    assert budget(made) == 0.55  # nothing is good enough
    made += arm("paper", 0.6, 30.2) + arm("paper", 0.65, 30.2) + arm("paper", 0.7, 30.2)
    assert budget(made) == 0.6  # three clear the bar
    made += arm("random", 0.65, 28) + arm("random", 0.7, 28)
    assert budget(made) == 0.65  # two of them are better than random too
    assert judged([]) is None


def test_random_at_the_arms_own_keep_rates_goes_before_a_fixed_share() -> None:
    follower = [record("follow-paper", (20, 30 + 0.05 * s), 0.7, s) for s in (1, 2, 3)]
    (section,) = grouped(*bar_records("multi30k", 0.0), *follower)
    found = {a.cell.arm: a for a in answers(section)}
    assert found["paper"].random.mean == pytest.approx(0.1)  # type: ignore[union-attr]
    assert found["follow-paper"].random is None
    assert "random to paper 0.70 is follow-paper 0.70, at its keep rates" in notes(section)
    held = {base.name: [c.name for c in cells] for base, cells in comparisons(section)}
    assert held == {
        "uniform 1.00": ["random 0.70", "follow-paper 0.70", "paper 0.70"],
        "random 0.70": [],
        "follow-paper 0.70": ["paper 0.70"],
    }


def test_the_verdict_on_an_arm() -> None:
    two = [*bar_records("multi30k", 0.0), *bar_records("msdocs", 0.1)]
    found = judge(grouped(*two), "paper", "transformer")
    assert [corpus for corpus, _ in found] == ["multi30k", "msdocs"]
    assert verdict(found).startswith("not met: saves enough on 2 of 3 corpora (2 needed), better")
    failing = bar_records("tatoeba", -0.5)  # saves nothing there, but beats random
    met = judge(grouped(*two, *failing), "paper", "transformer")
    assert verdict(met).startswith("met: saves enough on 2 of 3")
    noisy = judge(grouped(*two, *bar_records("noisy", 0.1)), "paper", "transformer")
    assert verdict(noisy).startswith("not met")
    with pytest.raises(SystemExit, match=r"--bar-arm other: no record.*paper, random, uniform"):
        judge(grouped(*two), "other", "transformer")
