"""Table and picture of `make crawl` from records with known figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from preprocess.text import UserError
from recipes.crawl import report
from tests.support.compare_records import grouped, record, write_runs


def labels(okay: int, copy: int) -> dict[str, dict[str, int]]:
    """Label counts of 100 okay pairs and 400 copies, each considered once."""
    return {
        "copy": {"pairs": 400, "trained": copy, "considered": 400},
        "okay": {"pairs": 100, "trained": okay, "considered": 100},
    }


def made(**changes: Any) -> list[dict[str, Any]]:
    """Records of plain training, which ends at BLEU 10, and of the default, at 10 half-way."""
    plain = record(bleu=(2.0, 4.0, 8.0, 10.0), corpus="mix77", labels=labels(100, 400))
    default = record("default", (0.0, 10.0, 20.0, 30.0), corpus="mix77", labels=labels(96, 8))
    default["train"] = {**default["train"], "features_s": 100.0}
    return [plain, {**default, **changes}]


def cells(text: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return {line[0]: line[1:] for line in lines}


def test_the_times_of_the_table_include_features(tmp_path: Path) -> None:
    root = write_runs(tmp_path, made())
    text = report.write([root / "runs"], tmp_path / "out")
    found = cells(text)
    assert found[""] == ["plain", "AutoAssist"]
    assert found["BLEU"] == ["10.0", "30.0"]
    assert found["minutes, features included"] == [
        "16.7",
        "18.3",
    ]  # 1,000 s; 100 s more for features
    assert found["tokens to plain's BLEU, x"] == ["1.00", "0.50"]
    assert found["time to plain's BLEU, x"] == ["1.00", "0.60"]
    assert found["kept of 400 copy"] == ["100.0%", "2.0%"]
    assert list(found).index("kept of 100 okay") < list(found).index("kept of 400 copy")
    assert (tmp_path / "out" / "report.txt").read_text(encoding="utf-8") == text + "\n"
    assert (tmp_path / "out" / "crawl.png").read_bytes().startswith(b"\x89PNG")


def test_a_bleu_that_is_not_reached_is_marked_so() -> None:
    slow = made()
    slow[1] = {**slow[1], "marks": record("default", (1.0, 2.0))["marks"]}
    rows = {row[0]: row[1:] for row in report.rows(grouped(*slow)[0])}
    assert rows["tokens to plain's BLEU, x"] == ["1.00", "not reached"]


def test_runs_of_two_corpora_are_refused(tmp_path: Path) -> None:
    root = write_runs(tmp_path, [*made(), record()])
    with pytest.raises(UserError, match="found runs of 2 kinds; expected those of one corpus"):
        report.write([root / "runs"], tmp_path)
