"""Difference of an arm to random over all settings, paired by seed within each."""

from __future__ import annotations

from typing import Any

import pytest

from recipes.compare.over_settings import Setting, by_corpus, overview, settings_of
from recipes.compare.statistics import estimate
from tests.support.compare_records import grouped, record


def made(arm: str, seed: int, bleu: float, valid: float, **changes: Any) -> dict[str, Any]:
    run = record(arm, (20.0, bleu), seed=seed, **changes)
    run["marks"][-1]["valid_BLEU"] = valid
    return run


RUNS = [
    made("random", 1, 30.0, 20.0),
    made("random", 2, 31.0, 20.0),
    made("band", 1, 30.5, 19.0),
    made("band", 2, 32.5, 20.0),
    made("band", 3, 99.0, 99.0),  # random has no such seed
    made("paper", 1, 29.0, 19.0),
    made("random", 1, 10.0, 5.0, corpus="tatoeba"),
    made("band", 1, 9.0, 6.0, corpus="tatoeba"),
]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_each_setting_gives_one_difference_over_the_seeds_of_both_arms() -> None:
    found = settings_of(grouped(*RUNS))
    assert list(found) == ["band"]  # paper has one setting
    assert sorted(s.test for s in found["band"]) == pytest.approx([-1.0, 1.0])
    assert sorted(s.valid for s in found["band"]) == pytest.approx([-0.5, 1.0])
    assert [s.tokens for s in found["band"]] == pytest.approx([1.0, 1.0])


def test_the_interval_is_over_settings() -> None:
    (row,) = overview(grouped(*RUNS)).splitlines()[2:]
    found = cells(row)
    # The mean is 0; the interval is 12.71 standard errors of 1 to each side.
    assert found[:5] == ["clean", "band", "2", "+0.00 [-12.71, +12.71]", "1 of 2"]
    assert found[5] == found[3]  # two corpora with one setting each
    assert found[6].startswith("+0.25 [") and found[7:] == ["1 of 2", "1.000", "-", "-"]


def test_by_corpus_counts_each_corpus_once() -> None:
    values, corpora = [1.0, 1.2, 1.4, 0.0], ["multi30k", "multi30k", "multi30k", "tatoeba"]
    settings = [Setting(corpus, value, 0, 1, None) for corpus, value in zip(corpora, values)]
    assert by_corpus(settings) == estimate([1.2, 0.0])
    assert by_corpus(settings[:3]) is None  # one corpus gives no interval


def test_other_corpora_than_the_clean_ones_count_in_their_own_rows() -> None:
    spl = [made("spl", 1, 1.0, 1.0), made("spl", 1, 1.0, 1.0, corpus="tatoeba")]
    other = [made(arm, 1, bleu, 5.0, corpus="noisy") for arm, bleu in (("random", 1), ("band", 4))]
    lines = overview(grouped(*RUNS, *spl, *other)).splitlines()
    found = [cells(row) for row in lines[2:]]
    assert [row[:3] for row in found] == [
        ["clean", "band", "2"],
        ["clean", "spl", "2"],
        ["all", "band", "3"],
    ]
    assert found[2][3].startswith("+1.00 [") and found[2][4] == "2 of 3"


def test_without_runs_of_random_the_overview_is_empty() -> None:
    assert overview(grouped(*(r for r in RUNS if r["arm"] != "random"))) == ""


def test_plain_training_of_another_length_is_no_arm() -> None:
    plain = [made("uniform", 1, 9.0, 9.0, corpus=corpus) for corpus in ("multi30k", "tatoeba")]
    assert list(settings_of(grouped(*RUNS, *plain))) == ["band"]
