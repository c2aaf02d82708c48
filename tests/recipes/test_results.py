"""RESULTS.md quotes the report, and the report says what the records say."""

from __future__ import annotations

import itertools

import pytest

from preprocess.text import read_lines
from recipes.common.data import ROOT
from recipes.compare import tables
from recipes.compare.records import load
from recipes.compare.sections import sections

RESULTS = ROOT / "recipes" / "compare" / "results"
BY_HAND = {"attempt"}  # first column of the tables that hold no figure of the report's own


def tables_of(text: list[str]) -> list[list[tuple[str, ...]]]:
    """Rows of cells of each table, the header first, without the ruler."""
    groups = itertools.groupby(text, key=lambda line: line.startswith("|"))
    found = []
    for is_table, lines in groups:
        if is_table:
            rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
            found.append([rows[0], *rows[2:]])
    return found


@pytest.fixture(scope="module")
def report() -> list[str]:
    return list(read_lines(RESULTS / "report.md"))


def test_the_report_says_what_the_records_say(report: list[str]) -> None:
    records = load(sorted(path.parent for path in RESULTS.glob("*/records.jsonl")))
    text, found = "\n".join(report), sections(records)
    assert f"- runs: {len(records)}" in report
    assert tables.bar(found) in text
    for section in found:
        own = text.split(f"## {section.title}\n")[1].split("\n## ")[0]
        for part in (tables.costs, tables.quality, tables.reaching, tables.drift, tables.labels):
            assert part(section) in own, f"{section.title}: {part.__name__}"


def test_translations_and_counts_lie_beside_the_records() -> None:
    """Without them nobody else can redo the bootstrap and the lists of pairs."""
    for record in load(sorted(path.parent for path in RESULTS.glob("*/records.jsonl"))):
        for name in (record.hypotheses, "counts.npy"):
            assert (record.folder / name).is_file(), f"{record.source}: no {name}"


def test_results_quote_the_report(report: list[str]) -> None:
    printed = tables_of(report)
    quoted = [t for t in tables_of(list(read_lines(ROOT / "RESULTS.md"))) if t[0][0] not in BY_HAND]
    assert len(quoted) > 5
    for rows in quoted:
        sources = [t for t in printed if t[0] == rows[0] and set(rows) <= set(t)]
        assert sources, f"no table of report.md has these rows: {rows}"
