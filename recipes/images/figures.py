"""Figures 3 and 6 of the paper for our runs."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Callable, Sequence

import matplotlib
import numpy as np

from recipes.common.looks import REFERENCE
from recipes.common.picture import save_png
from recipes.images.arms import ARMS
from recipes.images.records import Panel, Record
from recipes.images.sets import title

matplotlib.use("Agg")  # no display needed
from matplotlib import pyplot

SMALLEST = 1e-5  # lowest loss on figures, nats
UNITS = {"samples": "thousand samples trained on", "seconds": "seconds of training"}
SCALE = {"samples": 1e-3, "seconds": 1.0}

Draw = Callable[[Any, Panel], None]


def band(records: Sequence[Record], x: str, y: str) -> tuple[np.ndarray, ...]:
    """Return x, and the mean, lowest and highest y over seeds, at the marks that all have.

    x is the mean over seeds. All four arrays have the shape (marks,).
    """
    marks = min(len(record.curve[y]) for record in records)
    values = np.array([record.curve[y][:marks] for record in records])
    across = np.array([record.curve[x][:marks] for record in records]).mean(axis=0)
    return across, values.mean(axis=0), values.min(axis=0), values.max(axis=0)


def one_session(panel: Panel) -> list[Record]:
    """Records at the full budget of the session that has most of them; their times compare.

    Without a record at the full budget the list is empty.
    """
    whole = [record for record in panel.records if record.run.share == 1.0]
    counts = Counter(record.session for record in whole)
    most = max(sorted(counts), key=lambda session: counts[session], default=None)
    return [record for record in whole if record.session == most]


def _draw_loss(axis: Any, panel: Panel, x: str) -> None:
    """Draw the training loss of every arm against samples or seconds."""
    clock = one_session(panel)
    for name in panel.whole:
        records = [r for r in panel.of(name) if x != "seconds" or r in clock]
        if not records:
            continue
        arm = ARMS[name]
        across, mean, low, high = band(records, x, "train_loss")
        across = across * SCALE[x]
        style = {"color": arm.look.colour, "marker": arm.look.marker, "markersize": 4}
        axis.plot(across, np.maximum(mean, SMALLEST), label=arm.title, linewidth=1.3, **style)
        limits = np.maximum(low, SMALLEST), np.maximum(high, SMALLEST)
        axis.fill_between(across, *limits, color=arm.look.colour, alpha=0.12, linewidth=0)
    axis.set_yscale("log")
    axis.set_xlabel(UNITS[x])
    axis.set_ylabel("training loss (nats)")


def _draw_accuracy(axis: Any, panel: Panel) -> None:
    """Draw the accuracy of the Assistant and of the majority class."""
    for name in panel.whole:
        records = panel.of(name)
        if not ARMS[name].assists or not all("acc" in r.curve for r in records):
            continue
        arm = ARMS[name]
        own = {"color": arm.look.colour, "marker": arm.look.marker, "markersize": 4}
        guess = {"color": REFERENCE, "linestyle": "--", "linewidth": 2, "zorder": 3}  # on top
        for key, style, label in (
            ("acc", own, f"{arm.title}: the Assistant"),
            ("majority", guess, f"{arm.title}: the majority class"),
        ):
            reported = band(records, "samples", "majority")[2] > 0.0  # 0: no report yet
            across, mean, low, high = (x[reported] for x in band(records, "samples", key))
            across = across * SCALE["samples"]
            axis.plot(across, mean, label=label, **style)
            axis.fill_between(across, low, high, color=style["color"], alpha=0.12, linewidth=0)
    axis.set_ylim(0.4, 1.0)
    axis.set_xlabel(UNITS["samples"])
    axis.set_ylabel("accuracy")


def _draw(panels: Sequence[Panel], draw: Draw, path: Path) -> None:
    """Draw one row for each set and one column for each model, with a legend below."""
    rows = list(dict.fromkeys((panel.data, panel.budget) for panel in panels))
    columns = list(dict.fromkeys((panel.model, panel.width) for panel in panels))
    size = (1.0 + 4.2 * len(columns), 1.0 + 3.2 * len(rows))
    figure, axes = pyplot.subplots(len(rows), len(columns), figsize=size, squeeze=False)
    empty = {(row, column) for row in range(len(rows)) for column in range(len(columns))}
    entries: dict[str, Any] = {}
    for panel in panels:
        row = rows.index((panel.data, panel.budget))
        column = columns.index((panel.model, panel.width))
        axis = axes[row][column]
        empty.discard((row, column))
        draw(axis, panel)
        axis.set_title(f"{title(panel.data)}, {panel.model}, width {panel.width}", fontsize=10)
        axis.grid(alpha=0.3)
        for handle, label in zip(*axis.get_legend_handles_labels()):
            entries.setdefault(label, handle)
    for row, column in empty:
        axes[row][column].set_axis_off()
    if entries:
        across = 2 * len(columns)  # entries that fit beside one another
        bottom = (0.2 + 0.22 * -(-len(entries) // across)) / size[1]
        looks = {"loc": "lower center", "ncol": across, "frameon": False, "fontsize": 8}
        figure.legend(entries.values(), entries, **looks)
        figure.tight_layout(rect=(0.0, bottom, 1.0, 1.0))
    save_png(figure, path, dpi=110)


def draw(panels: Sequence[Panel], folder: Path) -> list[Path]:
    """Write figure3_samples.png, figure3_time.png and, if an arm has an Assistant, figure6.png.

    Returns:
        paths of the files
    """
    paths = []
    for x, name in (("samples", "figure3_samples.png"), ("seconds", "figure3_time.png")):
        _draw(panels, partial(_draw_loss, x=x), folder / name)
        paths.append(folder / name)
    assisted = [p for p in panels if any(ARMS[name].assists for name in p.whole)]
    if assisted:
        _draw(assisted, _draw_accuracy, folder / "figure6.png")
        paths.append(folder / "figure6.png")
    return paths
