"""Report on a corpus of raw crawl: a table of two trainings, and BLEU against tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import matplotlib

from preprocess.text import UserError, whole_files
from recipes.common.looks import LOOKS
from recipes.common.picture import save_png
from recipes.compare import tables
from recipes.compare.figures import curves
from recipes.compare.records import Record, load
from recipes.compare.sections import Cell, Section, sections
from recipes.compare.statistics import reach, spent
from recipes.crawl.mix import NOISE, OKAY

matplotlib.use("Agg")  # no display needed
from matplotlib import pyplot

NAMES = {"uniform": "plain", "default": "AutoAssist"}


def section_of(records: Sequence[Record]) -> Section:
    """Return the section of the records.

    Raises:
        UserError: the records belong to several corpora or lengths
    """
    found = sections(records)
    if len(found) != 1:
        raise UserError(
            f"found runs of {len(found)} kinds; expected those of one corpus and length: name "
            f"another folder in --out"
        )
    return found[0]


def rows(section: Section) -> list[list[str]]:
    """Rows of the table: a name, then a figure for each training."""
    cells, base = section.cells, section.baseline
    assert base is not None
    ends = [cell.records[0].end for cell in cells]
    found = [
        ["BLEU", *(f"{end['BLEU']:.1f}" for end in ends)],
        ["chrF2", *(f"{end['chrF2']:.1f}" for end in ends)],
        ["million target tokens", *(f"{cell.tokens / 1e6:.2f}" for cell in cells)],
        ["minutes, features included", *(_minutes(cell) for cell in cells)],
        ["features' minutes", *(f"{cell.records[0].features_s / 60:.1f}" for cell in cells)],
        ["tokens to plain's BLEU, x", *(_ratio(reach(c, base).tokens) for c in cells)],
        ["time to plain's BLEU, x", *(_ratio(reach(c, base).wall) for c in cells)],
    ]
    known = {name for record in section.records for name in record.labels}
    in_order = [name for name in (OKAY, *NOISE) if name in known]
    for name in (*in_order, *sorted(known - set(in_order))):
        shares = [tables.kept_share(name, cell.records) for cell in cells]
        pairs = section.records[0].labels[name]["pairs"]
        told = ["-" if share is None else f"{100 * share:.1f}%" for share in shares]
        found.append([f"kept of {pairs:,.0f} {name}", *told])
    return found


def _ratio(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.2f}"


def _minutes(cell: Cell) -> str:
    return f"{spent(cell.records[0], 'wall_s') / 60:.1f}"


def draw(section: Section, path: Path) -> None:
    """Write the picture: BLEU on the test set against target tokens trained on."""
    figure, axis = pyplot.subplots(figsize=(7, 4))
    for cell, x, y in curves(section, "BLEU"):
        look = LOOKS[cell.arm]
        style = {"color": look.colour, "marker": look.marker, "linewidth": 2}
        axis.plot([0, *x], [0, *y], label=NAMES.get(cell.arm, cell.arm), **style)
    axis.set_xlabel("million target tokens trained on")
    axis.set_ylabel("BLEU")
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    save_png(figure, path, dpi=150)


def write(folders: Sequence[Path], out: Path) -> str:
    """Write report.txt and crawl.png into `out`, and return the table.

    Args:
        folders: folders of the runs
        out: folder for both files

    Raises:
        UserError: the records belong to several corpora or lengths
    """
    section = section_of(load(folders))
    headers = ["", *(NAMES.get(cell.arm, cell.arm) for cell in section.cells)]
    text = tables.table(rows(section), headers)
    draw(section, out / "crawl.png")
    with whole_files(out / "report.txt") as (stream,):
        stream.write(text + "\n")
    return text
