"""Figure 1 of the paper for our runs, and a figure of Theorem 1 with its bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import matplotlib
import numpy as np

from recipes.common.looks import LOOKS, REFERENCE, Look
from recipes.common.picture import save_png
from recipes.linear_svm.records import GAPS, Curve, Records, solvers
from recipes.linear_svm.solvers import SOLVERS

matplotlib.use("Agg")  # no display needed
from matplotlib import pyplot

FLOOR = 1e-4  # lowest gap on figures
CASES = LOOKS["gradient"], LOOKS["gradient-high"]  # of Theorem 1, in the order of its records


def band(curves: Sequence[Curve], key: str) -> tuple[np.ndarray, ...]:
    """Return x, and the mean, lowest and highest gap over seeds, at the marks that all have.

    x is the mean of `key` over seeds, the mean gap a geometric one. All have the shape (marks,).
    """
    marks = min(len(curve["gap"]) for curve in curves)
    gaps = np.array([curve["gap"][:marks] for curve in curves])
    x = np.array([curve[key][:marks] for curve in curves]).mean(axis=0)
    gaps = np.maximum(gaps, FLOOR)
    return x, np.exp(np.log(gaps).mean(axis=0)), gaps.min(axis=0), gaps.max(axis=0)


def _style(look: Look) -> dict[str, Any]:
    style = {"markersize": 6, "markevery": 3, "linewidth": 1.3}
    return {"color": look.colour, "marker": look.marker, **style}


def _panel(axis: Any, records: Records, data: str, key: str) -> None:
    for name in solvers(records):
        solver = SOLVERS[name]
        x, mean, low, high = band(records.of(data, name), key)
        line = "--" if name == "gradient" else "-"  # its curve covers others
        axis.plot(x, mean, linestyle=line, label=solver.title, **_style(solver.look))
        axis.fill_between(x, low, high, color=solver.look.colour, alpha=0.15, linewidth=0)
    for gap in GAPS:
        axis.axhline(gap, color=REFERENCE, linewidth=0.5, linestyle=":")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_ylim(FLOOR, 10.0)
    axis.set_xlabel("updates" if key == "updates" else "CPU seconds")


def draw_gaps(records: Records, path: Path) -> None:
    """Write Figure 1: gap against updates (upper row) and time, one column for each data set."""
    names = [fact["data"] for fact in records.facts]
    size = (3.4 * len(names), 6.4)
    figure, axes = pyplot.subplots(2, len(names), figsize=size, sharey=True, squeeze=False)
    for column, data in enumerate(names):
        for row, key in enumerate(("updates", "seconds")):
            _panel(axes[row][column], records, data, key)
        axes[0][column].set_title(data.replace(" (", "\n("), fontsize=10)
    for row in range(2):
        axes[row][0].set_ylabel("(F(w) - F(w*)) / F(w*)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=4, frameon=False)
    figure.tight_layout(rect=(0.0, 0.08, 1.0, 1.0))
    save_png(figure, path, dpi=110)


def draw_theorem(records: Records, path: Path) -> None:
    """Write E ||w_k - w*||^2 against k, with L / k, for the theorem's case and its control."""
    figure, axis = pyplot.subplots(figsize=(6, 4))
    for record, look in zip(records.theorems, CASES):
        label = f"skip below {record['theorem']} (slope {round(record['slope'], 2) + 0.0:.2f})"
        axis.loglog(record["steps"], record["squares"], label=label, **_style(look))
    steps = np.array(records.theorems[0]["steps"])
    bound = records.theorems[0]["bound"]
    label = f"bound L / k, L = {bound:.0f}"
    axis.loglog(steps, bound / steps, color=REFERENCE, linestyle="--", label=label)
    axis.set_xlabel("step k")
    axis.set_ylabel("E ||w_k - w*||^2")
    axis.legend()
    axis.grid(alpha=0.3)
    figure.tight_layout()
    save_png(figure, path, dpi=110)
