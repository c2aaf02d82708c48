"""RESULTS.md and docs/crawl.md quote a report each, and the reports say what the records say."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocess.text import read_lines
from recipes.common.data import ROOT
from recipes.compare import tables
from recipes.compare.overall import overview
from recipes.compare.quote import MARK, main, quote
from recipes.compare.records import load
from recipes.compare.saving import savings_table, section_table
from recipes.compare.sections import sections

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
# text -> folder of records and their report, and tables that the text quotes at least
REPORTED = {
    ROOT / "RESULTS.md": (ROOT / "recipes" / "compare" / "results", 6),
    ROOT / "docs" / "crawl.md": (ROOT / "recipes" / "crawl" / "results", 2),
}
every_report = pytest.mark.parametrize("folder", [folder for folder, _ in REPORTED.values()])


def report_in(folder: Path) -> list[str]:
    return list(read_lines(folder / "report.md"))


@every_report
def test_the_report_says_what_the_records_say(folder: Path) -> None:
    report = report_in(folder)
    records = load(sorted(path.parent for path in folder.glob("*/records.jsonl")))
    text, found = "\n".join(report), sections(records)
    assert f"- runs: {len(records)}" in report
    for whole in (tables.bar, overview, savings_table):
        assert whole(found) in text, whole.__name__
    for section in found:
        own = text.split(f"## {section.title}\n")[1].split("\n## ")[0]
        names = "costs quality reaching by_tokens drift labels".split()
        for part in (getattr(tables, name) for name in names):
            assert part(section) in own, f"{section.title}: {part.__name__}"
        assert section_table(section) in own, section.title


@every_report
def test_translations_and_counts_lie_beside_the_records(folder: Path) -> None:
    """Without them nobody else can redo the bootstrap and the lists of pairs."""
    for record in load(sorted(path.parent for path in folder.glob("*/records.jsonl"))):
        for name in (record.hypotheses, "counts.npy"):
            assert (record.folder / name).is_file(), f"{record.source}: no {name}"


@pytest.mark.parametrize("path", REPORTED)
def test_the_text_quotes_the_report(path: Path) -> None:
    text, (folder, tables_quoted) = list(read_lines(path)), REPORTED[path]
    assert sum(MARK.fullmatch(line) is not None for line in text) >= tables_quoted
    words = f"--text {path.relative_to(ROOT)} --report {folder.relative_to(ROOT)}/report.md"
    assert quote(text, report_in(folder)) == text, f"run `python -m recipes.compare.quote {words}`"


def test_a_table_is_put_in_and_put_in_anew(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text(PRINTED, encoding="utf-8")
    text, words = tmp_path / "R.md", ["--text", str(tmp_path / "R.md")]
    words += ["--report", str(tmp_path / "report.md")]
    for before in ("<!-- report: a -->\n\n<!-- report: a / b -->\n", WANTED.replace("1", "7")):
        text.write_text(before, encoding="utf-8")
        main(words)
        assert text.read_text(encoding="utf-8") == WANTED
    for missing in ("d", "a / c", "c"):
        text.write_text(f"<!-- report: {missing} -->\n", encoding="utf-8")
        with pytest.raises(SystemExit, match="the report has no"):
            main(words)
        assert text.read_text(encoding="utf-8") == f"<!-- report: {missing} -->\n"
