"""Tables and figures of docs/results.md and docs/crawl.md against the packed records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from preprocess.text import read_lines
from recipes.compare import headline
from recipes.compare.packed import (
    ARCHIVE,
    COUNTS,
    HYPOTHESES,
    RECORDS,
    SUMMARY,
    read_archive,
    read_lines_of,
    summary,
    write,
)
from recipes.compare.quote import COMPARE, CRAWL, MARK, QUOTED, RESULTS, quote, renew
from recipes.compare.records import load
from recipes.compare.report import quotable
from recipes.compare.sections import Section, sections
from recipes.compare.taken_out import remaining
from tests.support.compare_records import record

PRINTED = """## a

|  x |
|---:|
|  1 |

### b

| y |
|:-----|
| 2 |

## c

words
"""
WANTED = """<!-- report: a -->
| x |
| ---: |
| 1 |

<!-- report: a / b -->
| y |
| :--- |
| 2 |
"""
AT_LEAST = {"results.md": 1, "crawl.md": 2}  # tables that a document quotes
LARGEST = 5_000_000  # bytes of a folder of packed runs
every_folder = pytest.mark.parametrize("folder", [COMPARE, CRAWL])


def found(folder: Path) -> list[Section]:
    return sections(remaining(load([folder])))


@every_folder
def test_the_summary_is_made_from_the_records(folder: Path) -> None:
    raw = [json.loads(line) for line in read_lines_of(folder / RECORDS)]
    assert (folder / SUMMARY).read_text(encoding="utf-8") == summary(raw)
    assert len(load([folder])) == len(raw)
    assert all(each["session"] for each in raw)


@every_folder
def test_every_run_has_translations_and_counts(folder: Path) -> None:
    kept = remaining(load([folder]))
    assert kept
    for each in kept:
        for name in (HYPOTHESES, COUNTS):
            assert each.files.read(name), f"{each.source}: no {each.files.place(name)}"


@every_folder
def test_packed_runs_are_small_and_packing_is_repeatable(folder: Path, tmp_path: Path) -> None:
    raw = [json.loads(line) for line in read_lines_of(folder / RECORDS)]
    write(tmp_path, raw, read_archive(folder / ARCHIVE))
    names = {RECORDS, ARCHIVE, SUMMARY}
    assert {path.name for path in folder.iterdir()} == names
    assert sum(path.stat().st_size for path in folder.iterdir()) < LARGEST
    assert read_archive(tmp_path / ARCHIVE) == read_archive(folder / ARCHIVE)
    assert read_lines_of(tmp_path / RECORDS) == read_lines_of(folder / RECORDS)


@pytest.mark.parametrize("path", QUOTED)
def test_the_text_quotes_the_report(path: Path) -> None:
    text = list(read_lines(path))
    tables = sum(MARK.fullmatch(line) is not None for line in text)
    assert tables >= AT_LEAST[path.name]
    report = quotable(load([QUOTED[path]])).splitlines()
    assert quote(text, report) == text, "run `python -m recipes.compare.quote`"


def test_the_figures_show_the_records() -> None:
    compared, crawl = found(COMPARE), found(CRAWL)
    groups = headline.groups_of(compared, crawl)
    rows = [row for group in groups.values() for row in group]
    drawn = {
        "forest.png": headline.digest(rows),
        "plateau.png": headline.digest(headline.plateau(compared)),
    }
    text = RESULTS.read_text(encoding="utf-8")
    for name, digest in drawn.items():
        assert f"]({name})" in text
        path = RESULTS.with_name(name)
        assert headline.digest_in(path) == digest, "run `python -m recipes.compare.quote`"


def test_results_are_one_page() -> None:
    lines = list(read_lines(RESULTS))
    assert len(lines) < 150
    rows = [line for line in lines if line.startswith("|")]
    assert 3 <= len(rows) <= 12  # the header, its rule, and at most ten rows


def test_a_table_is_inserted_and_updated() -> None:
    report = PRINTED.splitlines()
    for before in ("<!-- report: a -->\n\n<!-- report: a / b -->\n", WANTED.replace("1", "7")):
        assert quote(before.splitlines(), report) == WANTED.splitlines()
    for missing in ("d", "a / c", "c"):
        with pytest.raises(SystemExit, match="the report has no"):
            quote([f"<!-- report: {missing} -->"], report)


def test_a_document_is_updated(tmp_path: Path) -> None:
    write(tmp_path / "packed", [record(), record("random", (10, 20, 28, 29))], {})
    text = tmp_path / "R.md"
    before = "<!-- report: multi30k, transformer, 1,000 updates / Quality -->\n\nwords\n"
    text.write_text(before, encoding="utf-8")
    renew(text, tmp_path / "packed")
    lines = list(read_lines(text))
    assert lines[0] == before.splitlines()[0] and lines[-1] == "words"
    assert lines[4].startswith("| random | 1.00 | 1 | 29.00 (1 seed) | -1.00 (1 seed) |")
    renew(text, tmp_path / "packed")
    assert list(read_lines(text)) == lines
