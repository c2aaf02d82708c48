"""The bar: what is said of an arm against plain training and against random choice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recipes.compare.bar import answers, architectures, judge, judged, verdict
from recipes.compare.notes import notes
from recipes.compare.significance import comparisons
from tests.support.compare_records import grouped, record


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


def test_an_arm_is_judged_with_each_architecture_by_itself() -> None:
    lstm = [{**r, "architecture": "lstm"} for r in bar_records("tatoeba", 0.0)]
    noisy = bar_records("noisy", 0.1)
    assert architectures(grouped(*bar_records("msdocs", 0.0), *lstm, *noisy), "paper") == [
        "lstm",
        "transformer",
    ]
    for arm, made in (("paper", noisy), ("other", lstm)):
        with pytest.raises(SystemExit, match=rf"--bar-arm {arm}: no record of it on multi30k, "):
            architectures(grouped(*made), arm)
