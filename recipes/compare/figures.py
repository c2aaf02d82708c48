"""Pictures of the report: the paper's Figures 4 and 6 for our runs, BLEU, and drift."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Sequence

import matplotlib
import numpy as np

from recipes.common.picture import save_png
from recipes.compare.looks import LOOKS
from recipes.compare.records import Record, Values
from recipes.compare.sections import Cell, Section
from recipes.compare.statistics import commonest, mean_curve

matplotlib.use("Agg")  # no display needed
from matplotlib import pyplot
from matplotlib.ticker import LogFormatter, MaxNLocator

STYLES = ("-", "--", "-.", ":")
Panel = Callable[[Any, Section], None]  # draws one section into one matplotlib axes


def style(section: Section, cell: Cell) -> dict[str, object]:
    """Style of a curve: the arm's colour and marker, and a kind of line per budget."""
    budgets = sorted({c.budget for c in section.cells}, reverse=True)
    line = STYLES[min(budgets.index(cell.budget), len(STYLES) - 1)]
    look = {"color": LOOKS[cell.arm].colour, "marker": LOOKS[cell.arm].marker, "markersize": 4}
    return {**look, "linestyle": line, "label": cell.name, "linewidth": 1.3}


def perplexity(losses: np.ndarray) -> np.ndarray:
    """exp of nats per token, bounded so that a diverged run does not overflow."""
    return np.exp(np.minimum(losses, 50.0))


def curves(
    section: Section, key: str, against: str, unit: float
) -> list[tuple[Cell, np.ndarray, np.ndarray]]:
    """Return (cell, x, y) of the mean over seeds of a figure over marks.

    Against "wall_s", only runs under the commonest condition count.
    """
    found = []
    for cell in section.cells:
        runs = [r for r in cell.records if against != "wall_s" or r.condition == commonest(section)]
        curve = mean_curve([r.marks for r in runs], [key, against])
        if runs and len(curve["update"]):
            found.append((cell, curve[against] / unit, curve[key]))
    return found


def _loss_panel(key: str, against: str, unit: float, label: str) -> Panel:
    def draw(axis: Any, section: Section) -> None:
        for cell, x, y in curves(section, key, against, unit):
            axis.plot(x, perplexity(y), **style(section, cell))
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.0, 0.4)))
        axis.set_xlabel(label)

    return draw


def _bleu_panel(against: str, unit: float, label: str) -> Panel:
    def draw(axis: Any, section: Section) -> None:
        for cell, x, y in curves(section, "BLEU", against, unit):
            axis.plot(x, y, **style(section, cell))
        axis.set_xlabel(label)

    return draw


def accuracy(section: Section) -> list[tuple[Cell, dict[str, np.ndarray]]]:
    """Return the mean curves of the Assistant's accuracy: each arm that has it, longest budget."""
    found = {}
    for cell in section.cells:  # by falling budget within an arm
        curve = mean_curve(
            [[row for row in r.curve if row.get("majority")] for r in cell.records],  # 0: no report
            ["tokens", "acc", "majority"],
        )
        if len(curve["update"]) and cell.arm not in found:
            found[cell.arm] = (cell, curve)
    return list(found.values())


def _accuracy_panel(axis: Any, section: Section) -> None:
    for cell, curve in accuracy(section):
        look = {**style(section, cell), "markevery": 0.1}
        x = curve["tokens"] / 1e6
        axis.plot(x, curve["acc"], **{**look, "linestyle": "-"})
        majority = {"linestyle": ":", "label": f"{cell.name}, majority class"}
        axis.plot(x, curve["majority"], **{**look, **majority})
    axis.set_xlabel("million target tokens trained on")


def _drift_rows(record: Record, key: str) -> list[Values]:
    whole = record.drift_all.get(key)
    return [{"update": r["update"], "x": r[key] / whole} for r in record.drift] if whole else []


def _drift_panel(key: str) -> Panel:
    def draw(axis: Any, section: Section) -> None:
        for cell in section.cells:
            curve = mean_curve([_drift_rows(r, key) for r in cell.records], ["x"])
            if len(curve["update"]):
                axis.plot(curve["update"], curve["x"], **style(section, cell))
        axis.axhline(1.0, color="grey", linewidth=0.6)
        axis.set_xlabel("updates")

    return draw


def grid(sections: Sequence[Section], rows: Sequence[tuple[str, Panel]], path: Path) -> Path:
    """Draw one column per section, one row per (label of y, panel), one legend per column."""
    size = (5.2 * len(sections), 3.2 * len(rows))
    figure, axes = pyplot.subplots(len(rows), len(sections), figsize=size, squeeze=False)
    for column, section in enumerate(sections):
        for row, (label, panel) in enumerate(rows):
            axis = axes[row][column]
            panel(axis, section)
            axis.set_ylabel(label)
            axis.xaxis.set_major_locator(MaxNLocator(6))
            axis.grid(alpha=0.3, which="both")
        axes[0][column].set_title(section.title, fontsize="medium")
        if axes[0][column].lines:
            axes[0][column].legend(fontsize="x-small")
    figure.tight_layout()
    save_png(figure, path, dpi=110)
    return path


def draw(corpus: str, sections: Sequence[Section], out: Path) -> list[Path]:
    """Write all pictures of one corpus, a column for each of its sections; return their paths."""
    tokens, time = ("tokens", 1e6, "million target tokens"), ("wall_s", 60.0, "minutes")
    four = [
        (name, _loss_panel(key, *axis))
        for key, name in (("slice_loss", "training"), ("valid_loss", "validation"))
        for axis in (tokens, time)
    ]
    four = [(f"{name} perplexity", panel) for name, panel in four]
    found = [grid(sections, four, out / f"figure4_{corpus}.png")]
    bleu = [("BLEU", _bleu_panel(*tokens)), ("BLEU", _bleu_panel(*time))]
    found.append(grid(sections, bleu, out / f"bleu_{corpus}.png"))
    assisted = [section for section in sections if accuracy(section)]
    if assisted:
        path = out / f"figure6_{corpus}.png"
        found.append(grid(assisted, [("accuracy", _accuracy_panel)], path))
    drifting = [section for section in sections if any(r.drift for r in section.records)]
    if drifting:
        labels = (("length", "target length, of all pairs'"), ("rarity", "source rarity, of all"))
        panels = [(label, _drift_panel(key)) for key, label in labels]
        found.append(grid(drifting, panels, out / f"drift_{corpus}.png"))
    return found
