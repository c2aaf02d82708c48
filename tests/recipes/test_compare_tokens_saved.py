"""Tokens saved, against values in closed form."""

from __future__ import annotations

import math
from typing import Any

import pytest

from recipes.compare.over_settings import overview, settings_of
from tests.support.compare_records import grouped, record


def made(arm: str, budget: float, test: float, valid: float, **changes: Any) -> dict[str, Any]:
    """Record with `budget` times the tokens of plain training, 100 for each update."""
    run = record(arm, (10.0, test), budget=budget, **changes)
    run["marks"][-1]["valid_BLEU"] = valid
    return run


def setting(test: float, valid: float, high: float = 31.0, **changes: Any) -> list[dict[str, Any]]:
    """Plain training, random and `band`, the latter two with half the tokens.

    Random is 2 points below plain training, in the mean of test and valid BLEU.
    """
    plain = made("uniform", 1.0, high, 41.0, **changes)
    half = made("random", 0.5, 28.0, 40.0, **changes)
    return [plain, half, made("band", 0.5, test, valid, **changes)]


def shares(*runs: dict[str, Any]) -> list[float | None]:
    """Shares of tokens that `band` saves, one for each setting."""
    return [s.saved for s in settings_of(grouped(*runs)).get("band", [])]


def known(*runs: dict[str, Any]) -> list[float]:
    return sorted(share for share in shares(*runs) if share is not None)


def test_half_way_to_plain_training_saves_the_square_root_of_a_half() -> None:
    runs = setting(29.0, 41.0) + setting(31.0, 41.0, corpus="tatoeba")
    found = shares(*runs, *setting(25.0, 39.0, corpus="msdocs"))
    assert None not in found
    # Plain training needs 0.5 * 2 ** lead, with the lead over random in units of 2 points.
    assert sorted(found) == pytest.approx([-1.0, 1 - math.sqrt(0.5), 0.5])


def test_more_tokens_than_random_are_counted() -> None:
    runs = setting(28.0, 40.0) + setting(28.0, 40.0, corpus="tatoeba")
    for run in runs:
        if run["arm"] == "band":  # as good as random, with 1.1 times its tokens
            run["train"]["tokens"] *= 1.1
    assert shares(*runs) == pytest.approx([-0.1, -0.1])


def test_no_share_is_known_where_plain_training_is_flat() -> None:
    flat = setting(29.0, 41.0, high=27.8, corpus="msdocs")  # 0.4 above random on average
    both = setting(29.0, 41.0) + setting(29.0, 41.0, corpus="tatoeba")
    assert len(shares(*both, *flat)) == 3 and len(known(*both, *flat)) == 2


def test_no_share_is_known_where_random_has_the_tokens_of_plain_training() -> None:
    # BLEU by tokens needs two lengths of plain training.
    both = setting(29.0, 41.0, corpus="msdocs") + setting(29.0, 41.0, corpus="tatoeba")
    for fuller in (1.0, 1.002):  # its batches may hold a few more tokens, and the run is no longer
        runs = [made("random", 1.0, 28.0, 40.0), made("band", 1.0, 50.0, 50.0)]
        whole = [made("uniform", 1.0, 31.0, 41.0), *runs]
        whole[0]["train"]["tokens"] *= fuller
        assert len(shares(*whole, *both)) == 3
        assert known(*whole, *both) == pytest.approx([1 - math.sqrt(0.5)] * 2)


def test_only_seeds_that_all_three_have_count() -> None:
    lucky = made("band", 0.5, 99.0, 99.0, seed=2)
    lonely = made("random", 0.5, 0.0, 0.0, seed=3)
    runs = [*setting(29.0, 41.0), lucky, lonely, *setting(29.0, 41.0, corpus="tatoeba")]
    assert shares(*runs) == pytest.approx([1 - math.sqrt(0.5)] * 2)


def test_the_table_gives_percent_and_needs_two_settings() -> None:
    one, no_control = setting(29.0, 41.0), setting(29.0, 41.0)[::2]
    assert shares(*one) == [] and overview(grouped(*one)) == ""
    assert shares(*no_control) == []
    (row,) = overview(grouped(*one, *setting(29.0, 41.0, corpus="tatoeba"))).splitlines()[2:]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["clean", "band", "2"]
    assert cells[-2:] == ["+29 [+29, +29]", "2 of 2"]
