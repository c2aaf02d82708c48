"""Figures of docs/results.md: their rows and curves, and the digest in a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.compare import headline
from tests.support.compare_records import grouped, record

PLATEAU = {"corpus": "multi30k", "architecture": "low-dropout"}
RUNS = [
    record("uniform", (20, 30), seed=1, **PLATEAU),
    record("uniform", (22, 34), seed=2, **PLATEAU),
    record("random", (20, 30), seed=1, **PLATEAU),
    record("random", (20, 31), seed=2, **PLATEAU),
    record("band", (20, 31), seed=1, **PLATEAU),
    record("band", (20, 33), seed=2, **PLATEAU),
    record("random", (20, 30), corpus="tatoeba"),
    record("band", (20, 30.5), corpus="tatoeba"),
    record("spl", (20, 30.5), corpus="tatoeba"),
]


def test_the_forest_has_a_row_for_each_setting_and_one_for_the_mean() -> None:
    first, second, mean = headline.leads(grouped(*RUNS))
    assert first.setting == "multi30k low-dropout 1,000 x 1.00" and first.arm == "band"
    assert first.mean == pytest.approx(1.5) and first.low is not None and first.low < 0
    assert second[1:] == ("band", pytest.approx(0.5), None, None)  # one seed has no interval
    assert mean.setting == headline.MEAN and mean.mean == pytest.approx(1.0)
    assert headline.leads(grouped(*(r for r in RUNS if r["arm"] != "random"))) == []


def test_the_forest_keeps_corpora_with_noise_apart() -> None:
    mixed = [record(arm, (20, 30), corpus="noisy") for arm in ("random", "band")]
    clean, noisy, crawl = headline.groups_of(grouped(*RUNS, *mixed), []).values()
    assert clean == headline.leads(grouped(*RUNS))
    assert [row.setting for row in noisy] == ["noisy transformer 1,000 x 1.00"] and crawl == []


def test_the_plateau_has_the_mean_the_lowest_and_the_highest_seed() -> None:
    plain, *others = headline.plateau(grouped(*RUNS))
    assert [curve.arm for curve in others] == ["random", "band"]
    assert (plain.mean, plain.least, plain.most) == ([21, 32], [20, 30], [22, 34])
    assert plain.tokens == pytest.approx([0.05, 0.1])


def test_a_picture_holds_the_digest_of_its_data(tmp_path: Path) -> None:
    found = grouped(*RUNS)
    headline.write(found, found[1:], tmp_path)
    rows = [*headline.leads(found), *headline.leads(found[1:])]  # one panel for each group
    curves = headline.plateau(found)
    assert headline.digest_in(tmp_path / "forest.png") == headline.digest(rows)
    assert headline.digest_in(tmp_path / "plateau.png") == headline.digest(curves)
    moved = [rows[0]._replace(mean=rows[0].mean + 0.01), *rows[1:]]
    assert headline.digest(moved) != headline.digest(rows)
    near = [rows[0]._replace(mean=rows[0].mean + 1e-9), *rows[1:]]
    assert headline.digest(near) == headline.digest(rows)
    (tmp_path / "forest.png").write_bytes(b"\x89PNG")
    assert headline.digest_in(tmp_path / "forest.png") == ""
