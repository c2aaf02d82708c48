"""Put tables and figures of packed records into the documents that show them.

    python -m recipes.compare.quote                              # all documents
    python -m recipes.compare.quote --text T.md --records DIR    # one document

A table follows a line `<!-- report: SECTION / HEADING -->`; without a heading it is the first one
of the section. An existing table there is replaced.
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


def _below(lines: list[str], title: str, level: str) -> list[str]:
    """Lines between a title and the next one of its level or above; UserError if it is missing."""
    start = f"{level} {title}"
    if start not in lines:
        raise UserError(
            f"the report has no {start!r}; expected one, as the text quotes it: mend the mark, or "
            f"collect the runs that it is of by `python -m recipes.compare.collect`"
        )
    found = lines[lines.index(start) + 1 :]
    ends = [i for i, line in enumerate(found) if re.match(f"#{{2,{len(level)}}} ", line)]
    return found[: ends[0]] if ends else found


def _narrow(row: str) -> str:
    """A row without the blanks that align columns."""
    cells = [RULER.sub("---", cell.strip()) for cell in row.strip("|").split("|")]
    return f"| {' | '.join(cells)} |"


def table(report: list[str], section: str, heading: str | None) -> list[str]:
    """Rows of one table of the report. Raises UserError where it has none."""
    lines = _below(report, section, "##")
    if heading:
        lines = _below(lines, heading, "###")
    starts = [i for i, line in enumerate(lines) if line.startswith("|")]
    if not starts:
        raise UserError(f"the report has no table below {section!r}, {heading!r}; expected one")
    return [_narrow(row) for row in _table_at(lines, starts[0])]


def _table_at(lines: list[str], start: int) -> list[str]:
    end = start
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    return lines[start:end]


def quote(text: list[str], report: list[str]) -> list[str]:
    """Return the text with the report's tables after their marks."""
    made, i = [], 0
    while i < len(text):
        made.append(text[i])
        mark = MARK.fullmatch(text[i].strip())
        i += 1
        if mark:
            made += table(report, mark["section"], mark["heading"])
            i += len(_table_at(text, i))
    return made


def renew(text: Path, records: Path) -> None:
    """Put the tables of packed runs into one document."""
    lines = quote(list(read_lines(text)), quotable(load([records])).splitlines())
    with whole_files(text) as (stream,):
        stream.write("\n".join(lines) + "\n")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--text", type=Path, help="one document")
    parser.add_argument("--records", type=Path, help="folder of packed runs that it quotes")
    options = parser.parse_args(arguments)
    if (options.text is None) != (options.records is None):
        raise UserError("found one of --text and --records; expected both, or none for all")
    for text, records in ({options.text: options.records} if options.text else QUOTED).items():
        renew(text, records)
    if options.text is None:
        compared, crawl = (sections(remaining(load([each]))) for each in (COMPARE, CRAWL))
        headline.write(compared, crawl, RESULTS.parent)


if __name__ == "__main__":
    main()
