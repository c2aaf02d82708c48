"""RESULTS.md quotes the report, and the report says what the records say."""

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
RESULTS = ROOT / "recipes" / "compare" / "results"


@pytest.fixture(scope="module")
def report() -> list[str]:
    return list(read_lines(RESULTS / "report.md"))


def test_the_report_says_what_the_records_say(report: list[str]) -> None:
    records = load(sorted(path.parent for path in RESULTS.glob("*/records.jsonl")))
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


def test_translations_and_counts_lie_beside_the_records() -> None:
    """Without them nobody else can redo the bootstrap and the lists of pairs."""
    for record in load(sorted(path.parent for path in RESULTS.glob("*/records.jsonl"))):
        for name in (record.hypotheses, "counts.npy"):
            assert (record.folder / name).is_file(), f"{record.source}: no {name}"


def test_results_quote_the_report(report: list[str]) -> None:
    text = list(read_lines(ROOT / "RESULTS.md"))
    assert sum(MARK.fullmatch(line) is not None for line in text) > 5
    assert quote(text, report) == text, "run `python -m recipes.compare.quote`"


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
