"""Counts the identifiers that translations carry over unchanged.

    python -m recipes.crawl.names [RECORDS ...] [--corpora runs/compare/corpora] [--corpus msdocs]

An identifier is a run of ASCII letters, digits, `_`, `.` and `::` with an inner sign or an inner
capital: `Array.map`, `std::vector`, `max_len`, `innerHTML`. Those that stand in the source and in
the reference of a sentence are to stand in its translation too.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Sequence

from preprocess.text import UserError, read_lines
from recipes.common.data import ROOT
from recipes.compare.records import Record, load
from recipes.compare.significance import hypotheses

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:(?:::|\.)[A-Za-z_][A-Za-z0-9_]*)*")
SIGN = re.compile(r"[A-Za-z0-9]_+[A-Za-z0-9]|\.|::|[a-z0-9][A-Z]")
PACKED = ROOT / "recipes" / "crawl" / "results"


def names(line: str) -> set[str]:
    """Return the identifiers of a line, each once."""
    return {word for word in WORD.findall(line) if SIGN.search(word)}


def carried(
    sources: Sequence[str], references: Sequence[str], translations: Sequence[str]
) -> tuple[int, int]:
    """Count the identifiers of source and reference, and those of them in the translation.

    Args:
        sources, references, translations: lines (sentences,), in the same order

    Returns:
        number of identifiers, counted once a sentence; number of them in the translations
    """
    shared = [names(one) & names(two) for one, two in zip(sources, references)]
    found = [len(some & names(line)) for some, line in zip(shared, translations)]
    return sum(map(len, shared)), sum(found)


def row(record: Record, corpora: Path) -> str:
    """Make the line of a run.

    Raises:
        UserError: the test set or the translations are missing, or belong to another corpus
    """
    texts = [corpora / record.corpus / "text" / f"test.{lang}" for lang in record.languages]
    for path in texts:
        if not path.is_file():
            raise UserError(
                f"found no {path}; expected a prepared corpus: run `python -m "
                f"recipes.compare.prepare {record.corpus} --out {corpora}`"
            )
    sources, references = (list(read_lines(path)) for path in texts)
    translations = hypotheses(record, references)
    if translations is None:
        raise UserError(f"{record.source}: found no translations; expected a finished run")
    total, found = carried(sources, references, translations)
    share = f"{found / total:.3f}" if total else "-"
    return f"{record.run:<44}{total:>8,}{found:>8,}{share:>8}"


def main(arguments: list[str] | None = None) -> None:
    """Print a line for each run of the chosen corpora."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("records", nargs="*", type=Path, default=[PACKED])
    parser.add_argument("--corpora", type=Path, default=ROOT / "runs" / "compare" / "corpora")
    parser.add_argument("--corpus", help="leave the runs of other corpora out")
    options = parser.parse_args(arguments)
    found = [r for r in load(options.records) if options.corpus in (None, r.corpus)]
    print(f"{'run':<44}{'names':>8}{'kept':>8}{'share':>8}")
    for record in sorted(found, key=lambda record: record.run):
        print(row(record, options.corpora), flush=True)


if __name__ == "__main__":
    main()
