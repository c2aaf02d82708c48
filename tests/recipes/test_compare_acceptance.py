"""Acceptance of an arm against plain training and against random."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recipes.compare.acceptance import answers
from recipes.compare.significance import comparisons
from tests.support.compare_records import grouped, record


def records_of(corpus: str, gain: float, seconds: float = 1.0) -> list[dict[str, Any]]:
    """Records of three seeds: BLEU ends near 30 (uniform), 29 (random) and 30 + `gain` (paper)."""
    made = []
    for seed in (1, 2, 3):
        step = 0.05 * seed
        made.append(record("uniform", (20, 30 + step), seed=seed, corpus=corpus))
        made.append(record("random", (20, 29 + step), 0.7, seed, corpus=corpus))
        bleu = (20, 30 + gain + 2 * step)
        made.append(record("paper", bleu, 0.7, seed, seconds, corpus=corpus))
    return made


def test_an_arm_is_judged_by_bleu_tokens_and_time() -> None:
    good = answers(grouped(*records_of("multi30k", -0.1))[0])[1]
    assert good.cell.name == "paper 0.70"
    assert (good.tokens, good.wall) == pytest.approx((0.7, 0.7))
    assert (good.non_inferior, good.saves, good.over_random) == (True, True, True)
    # The limits are 0.70 of the tokens and 0.75 of the time, plus 0.005 for rounding by batches.
    for tokens, wall, saves in ((0.704, 0.754, True), (0.706, 0.7, False), (0.7, 0.756, False)):
        assert replace(good, tokens=tokens, wall=wall).saves is saves
    # The mean difference is -0.2; its interval, -0.2 +- 0.12, reaches below -0.3.
    bad = answers(grouped(*records_of("multi30k", -0.3))[0])[1]
    assert (bad.non_inferior, bad.saves, bad.over_random) == (False, False, True)
    slow = answers(grouped(*records_of("multi30k", 0.5, seconds=1.2))[0])[1]
    assert (slow.non_inferior, slow.saves) == (True, False)
    whole = [record("paper", (20, 31 + 0.05 * s), 1.0, s, seconds=0.5) for s in (1, 2, 3)]
    quick = answers(grouped(*records_of("multi30k", 0.5), *whole)[0])[1]
    assert (quick.tokens, quick.wall, quick.saves) == (1.0, 0.5, False)
    worse = answers(grouped(*records_of("multi30k", -1.1))[0])[1]
    assert worse.over_random is False


def test_one_seed_or_another_device_gives_no_verdict() -> None:
    one = [raw for raw in records_of("multi30k", 0.5) if raw["seed"] == 1]
    answer = answers(grouped(*one)[0])[1]
    assert (answer.non_inferior, answer.saves, answer.over_random) == (None, None, None)
    moved = [{**r, "device": r["arm"]} for r in records_of("multi30k", 0.5)]
    answer = answers(grouped(*moved)[0])[1]
    assert (answer.wall, answer.non_inferior, answer.saves) == (None, True, None)
    assert answers(grouped(record("paper"))[0]) == []


def test_times_of_runs_that_shared_a_gpu_give_no_verdict() -> None:
    shared = [{**r, "device": "NVIDIA X", "jobs": 18} for r in records_of("multi30k", 0.5)]
    answer = answers(grouped(*shared)[0])[1]
    assert (answer.wall, answer.non_inferior, answer.saves) == (None, True, None)
    alone = [{**r, "jobs": 1} for r in shared]
    assert answers(grouped(*alone)[0])[1].saves is True


def test_arms_are_compared_with_plain_training_and_with_random() -> None:
    (section,) = grouped(*records_of("multi30k", 0.0))
    assert [(cell.name, base.name) for cell, base in comparisons(section)] == [
        ("random 0.70", "uniform 1.00"),
        ("paper 0.70", "uniform 1.00"),
        ("paper 0.70", "random 0.70"),
    ]
