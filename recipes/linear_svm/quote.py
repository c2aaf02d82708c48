"""Write the tables of a report into docs/svm.md, and its figures beside that page.

    python -m recipes.linear_svm.quote runs/svm

A block between `<!-- report: HEADING -->` and `<!-- end -->` in the page is replaced.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from preprocess.text import UserError, whole_files
from recipes.common.data import ROOT
from recipes.linear_svm.records import load
from recipes.linear_svm.report import text_of
from recipes.linear_svm.summary import summary_table

PAGE = ROOT / "docs" / "svm.md"
KEPT = ROOT / "recipes" / "linear_svm" / "results"
FIGURES = ("svm.png", "theorem.png")
SUMMARY = "summary"
BLOCK = re.compile(r"<!-- report: (.+?) -->\n.*?<!-- end -->", re.DOTALL)


def blocks(folder: Path) -> dict[str, str]:
    """Blocks to quote from the records in a folder: heading -> text."""
    records = load(folder / "records.jsonl")
    parts = text_of(records).split("\n## ")[1:]
    found = dict(part.split("\n", 1) for part in parts)
    return {SUMMARY: "\n".join(summary_table(records)), **found}


def quoted(page: str, found: dict[str, str]) -> str:
    """Return the page with every marked block replaced.

    Raises:
        UserError: the report has no such heading
    """

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in found:
            raise UserError(f"the report has no {name}; expected one of {', '.join(found)}")
        return f"<!-- report: {name} -->\n{found[name].strip()}\n<!-- end -->"

    return BLOCK.sub(fill, page)


def main(arguments: list[str] | None = None) -> None:
    """Write tables and figures into docs/, and keep the records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="output folder of `make svm`")
    folder: Path = parser.parse_args(arguments).folder
    page = quoted(PAGE.read_text(encoding="utf-8"), blocks(folder))
    KEPT.mkdir(exist_ok=True)
    if folder.resolve() != KEPT.resolve():
        shutil.copyfile(folder / "records.jsonl", KEPT / "records.jsonl")
    for name in FIGURES:
        shutil.copyfile(folder / name, PAGE.parent / name)
    with whole_files(PAGE) as (stream,):
        stream.write(page)


if __name__ == "__main__":
    main()
