"""Put tables and figures of packed records into the documents that show them.

    python -m recipes.compare.quote

A table follows a line `<!-- report: SECTION / HEADING -->`, or one without a heading where the
table has none. An existing table there is replaced.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from preprocess.text import UserError, read_lines, whole_files
from recipes.common.data import ROOT
from recipes.compare import headline
from recipes.compare.records import load
from recipes.compare.report import quotable
from recipes.compare.sections import sections
from recipes.compare.taken_out import remaining

MARK = re.compile(r"<!-- report: (?P<section>[^/]+?)(?: / (?P<heading>.+?))? -->")
RULER = re.compile("-{3,}")
COMPARE, CRAWL = (ROOT / "recipes" / name / "results" for name in ("compare", "crawl"))
RESULTS = ROOT / "docs" / "results.md"
QUOTED = {RESULTS: COMPARE, ROOT / "docs" / "crawl.md": CRAWL}  # document -> packed runs


def tables(report: list[str]) -> dict[tuple[str, str | None], list[str]]:
    """Rows of each table of a report, by its section and heading; None: without a heading."""
    found: dict[tuple[str, str | None], list[str]] = {}
    section, heading = "", None
    for line in report:
        if line.startswith("## "):
            section, heading = line[3:], None
        elif line.startswith("### "):
            heading = line[4:]
        elif line.startswith("|"):
            found.setdefault((section, heading), []).append(_narrow(line))
    return found


def _narrow(row: str) -> str:
    """A row without the blanks that align columns."""
    cells = [RULER.sub("---", cell.strip()) for cell in row.strip("|").split("|")]
    return f"| {' | '.join(cells)} |"


def quote(text: list[str], report: list[str]) -> list[str]:
    """Return the text with the report's tables after their marks.

    Raises:
        UserError: the report has no such table
    """
    made: list[str] = []
    known, old = tables(report), False  # old: rows that the last mark replaces
    for line in text:
        old = old and line.startswith("|")
        if old:
            continue
        made.append(line)
        mark = MARK.fullmatch(line.strip())
        if mark:
            rows = known.get((mark["section"], mark["heading"]))
            if rows is None:
                raise UserError(
                    f"the report has no table for {line.strip()!r}; expected one: mend the mark, "
                    f"or collect the runs that it is of by `python -m recipes.compare.collect`"
                )
            made += rows
            old = True
    return made


def renew(text: Path, records: Path) -> None:
    """Put the tables of packed runs into one document."""
    lines = quote(list(read_lines(text)), quotable(load([records])).splitlines())
    with whole_files(text) as (stream,):
        stream.write("\n".join(lines) + "\n")


def main() -> None:
    """Renew the tables of all documents, and the figures."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    for text, records in QUOTED.items():
        renew(text, records)
    compared, crawl = (sections(remaining(load([each]))) for each in (COMPARE, CRAWL))
    headline.write(compared, crawl, RESULTS.parent)


if __name__ == "__main__":
    main()
