"""Pictures of the report, by tokens: BLEU, perplexity (the paper's Figure 4), and the accuracy of
the Assistant (its Figure 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List, Sequence

import matplotlib
import numpy as np

from recipes.common.looks import LOOKS
from recipes.common.picture import save_png
from recipes.compare.records import Record, Values
from recipes.compare.sections import Cell, Section
from recipes.compare.statistics import mean_curve

matplotlib.use("Agg")  # no display needed
from matplotlib import pyplot
from matplotlib.ticker import LogFormatter, MaxNLocator

STYLES = ("-", "--", "-.", ":")
Rows = Callable[[Record], List[Values]]


def marks(record: Record) -> list[Values]:
    """Measurements of a run."""
    return record.marks


def accuracy(record: Record) -> list[Values]:
    """Reports of a run with `lead`, the Assistant's accuracy above that of the majority class."""
    reports = [row for row in record.curve if row.get("majority")]  # 0: nothing learned yet
    return [{**row, "lead": row["acc"] - row["majority"]} for row in reports]


PANELS: tuple[tuple[str, str, Rows], ...] = (
    ("BLEU", "BLEU", marks),
    ("training perplexity", "slice_loss", marks),
    ("validation perplexity", "valid_loss", marks),
    ("accuracy above the majority class", "lead", accuracy),
)


def style(section: Section, cell: Cell) -> dict[str, object]:
    """Style of a curve: the arm's colour and marker, and a kind of line per budget."""
    budgets = sorted({c.budget for c in section.cells}, reverse=True)
    line = STYLES[min(budgets.index(cell.budget), len(STYLES) - 1)]
    look = {"color": LOOKS[cell.arm].colour, "marker": LOOKS[cell.arm].marker, "markersize": 4}
    return {**look, "linestyle": line, "label": cell.name, "linewidth": 1.3, "markevery": 0.1}


def perplexity(losses: np.ndarray) -> np.ndarray:
    """exp of nats per token, bounded so that a diverged run does not overflow."""
    return np.exp(np.minimum(losses, 50.0))


def curves(
    section: Section, key: str, rows: Rows = marks
) -> list[tuple[Cell, np.ndarray, np.ndarray]]:
    """Return (cell, million target tokens, figure): means over seeds, where a cell has any."""
    found = []
    for cell in section.cells:
        curve = mean_curve([rows(r) for r in cell.records], [key, "tokens"])
        if len(curve["update"]):
            found.append((cell, curve["tokens"] / 1e6, curve[key]))
    return found


def draw(sections: Sequence[Section], path: Path) -> None:
    """Write one picture: a column for each section, a row for each panel."""
    size = (5.2 * len(sections), 3.2 * len(PANELS))
    figure, axes = pyplot.subplots(len(PANELS), len(sections), figsize=size, squeeze=False)
    for column, section in zip(axes.T, sections):
        for axis, (label, key, rows) in zip(column, PANELS):
            loss = key.endswith("_loss")
            for cell, x, y in curves(section, key, rows):
                axis.plot(x, perplexity(y) if loss else y, **style(section, cell))
            if loss:
                axis.set_yscale("log")
                axis.yaxis.set_major_formatter("{x:g}")
                axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.0, 0.4)))
            axis.set_ylabel(label)
            axis.xaxis.set_major_locator(MaxNLocator(6))
            axis.grid(alpha=0.3, which="both")
        column[0].legend(fontsize="x-small")
        column[0].set_title(section.title, fontsize="medium")
        column[-1].set_xlabel("million target tokens trained on")
    figure.tight_layout()
    save_png(figure, path, dpi=110)
