"""An arm over all sections: one figure a setting, paired by seed, against random."""

from __future__ import annotations

from typing import Any

import pytest

from recipes.compare.overall import by_corpus, overall, overview
from recipes.compare.statistics import estimate
from tests.support.compare_records import grouped, record


def made(arm: str, seed: int, bleu: float, valid: float, **changes: Any) -> dict[str, Any]:
    run = record(arm, (20.0, bleu), seed=seed, **changes)
    run["marks"][-1]["valid_BLEU"] = valid
    return run


RUNS = [
    made("random", 1, 30.0, 20.0),
    made("random", 2, 31.0, 20.0),
    made("easy", 1, 30.5, 19.0),
    made("easy", 2, 32.5, 20.0),
    made("easy", 3, 99.0, 99.0),  # no random with this seed
    made("paper", 1, 29.0, 19.0),
    made("random", 1, 10.0, 5.0, corpus="tatoeba"),
    made("easy", 1, 9.0, 6.0, corpus="tatoeba"),
]


def test_one_figure_a_setting_over_the_seeds_that_both_have() -> None:
    (entry,) = overall(grouped(*RUNS))  # paper has one setting
    assert entry.arm == "easy" and entry.runs == 3
    assert sorted(entry.test) == pytest.approx([-1.0, 1.0])
    assert sorted(entry.valid) == pytest.approx([-0.5, 1.0])
    assert entry.tokens == pytest.approx(1.0)


def test_the_interval_is_over_settings() -> None:
    (row,) = overview(grouped(*RUNS)).splitlines()[2:]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    # a mean of 0 and 12.71 standard errors of 1 either way
    assert cells[:6] == ["of the bar", "easy", "2", "3", "+0.00 [-12.71, +12.71]", "1 of 2"]
    assert cells[6] == cells[4]  # two corpora with one setting each
    assert cells[7].startswith("+0.25 [") and cells[8] == "1 of 2" and cells[10] == "1.000"


def test_by_corpus_a_corpus_counts_once() -> None:
    values, corpora = [1.0, 1.2, 1.4, 0.0], ["multi30k", "multi30k", "multi30k", "tatoeba"]
    found = by_corpus(values, corpora)
    assert found == estimate([1.2, 0.0])
    assert by_corpus(values[:3], corpora[:3]) is None  # one corpus says nothing of others


def test_corpora_beside_those_of_the_bar_are_counted_apart() -> None:
    band = [made("band", 1, 1.0, 1.0), made("band", 1, 1.0, 1.0, corpus="tatoeba")]
    other = [made(arm, 1, bleu, 5.0, corpus="noisy") for arm, bleu in (("random", 1), ("easy", 4))]
    lines = overview(grouped(*RUNS, *band, *other)).splitlines()
    rows = [line.strip("|").split("|") for line in lines]
    found = [[cell.strip() for cell in row][:6] for row in rows[2:]]
    assert [row[:4] for row in found] == [
        ["of the bar", "easy", "2", "3"],
        ["of the bar", "band", "2", "2"],
        ["all", "easy", "3", "4"],
    ]
    assert found[2][4].startswith("+1.00 [") and found[2][5] == "2 of 3"


def test_without_a_control_there_is_nothing_to_say() -> None:
    assert overview(grouped(*(r for r in RUNS if r["arm"] != "random"))) == ""
