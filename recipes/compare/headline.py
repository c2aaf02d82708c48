"""Two figures of docs/results.md, from records: leads over random, BLEU at the plateau."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

import matplotlib
import numpy as np

from recipes.common.looks import LOOKS
from recipes.common.picture import save_png
from recipes.compare.over_settings import CLEAN
from recipes.compare.sections import BASELINE, FULL, Section
from recipes.compare.statistics import difference, estimate

matplotlib.use("Agg")  # no display needed
from matplotlib import pyplot

SHOWN = ("default", "prior", "band", "paper", "competence")  # arms of the forest
PLATEAU = ("multi30k", "low-dropout")  # corpus and architecture
DIGEST = "Digest"  # name of a PNG's text chunk with a hash of the drawn numbers
MEAN = "mean over settings"
ROOM = 3.0  # margin in BLEU around the means; wider intervals are cut off


class Lead(NamedTuple):
    """BLEU of an arm over random in one setting, paired by seed; one seed has no interval."""

    setting: str
    arm: str
    mean: float
    low: float | None
    high: float | None


class Curve(NamedTuple):
    """BLEU on test by million target tokens: mean, minimum and maximum over seeds."""

    arm: str
    budget: float
    tokens: list[float]
    mean: list[float]
    least: list[float]
    most: list[float]


def leads(sections: Sequence[Section]) -> list[Lead]:
    """Rows of the forest: by setting, then the mean over the settings of each arm."""
    found = []
    for section in sections:
        for cell in section.cells:
            control = section.control(cell)
            lead = difference(cell, control) if control and cell.arm in SHOWN else None
            if lead is not None:
                setting = f"{section.name} x {cell.budget:.2f}"
                found.append(Lead(setting, cell.arm, lead.mean, lead.low, lead.high))
    for arm in SHOWN:
        whole = estimate([lead.mean for lead in found if lead.arm == arm])
        if whole is not None and whole.n > 1:
            found.append(Lead(MEAN, arm, whole.mean, whole.low, whole.high))
    return found


def plateau(sections: Sequence[Section]) -> list[Curve]:
    """Curves of the setting in which plain training levels off."""
    (section,) = [s for s in sections if (s.corpus, s.architecture) == PLATEAU]
    found = []
    for cell in section.cells:
        marks = [list(zip(*((m["tokens"], m["BLEU"]) for m in r.marks))) for r in cell.records]
        tokens = np.mean([run[0] for run in marks], axis=0) / 1e6
        bleu = np.array([run[1] for run in marks])
        columns = (tokens, bleu.mean(axis=0), bleu.min(axis=0), bleu.max(axis=0))
        found.append(Curve(cell.arm, cell.budget, *(column.tolist() for column in columns)))
    return found


def digest(rows: Sequence[Lead] | Sequence[Curve]) -> str:
    """A short hash of numbers to three digits: equal figures have equal ones."""
    text = json.dumps(rows, default=float)
    rounded = json.loads(text, parse_float=lambda number: f"{float(number):.3f}")
    return hashlib.sha256(json.dumps(rounded).encode()).hexdigest()[:16]


def _lead_panel(axis: Any, rows: Sequence[Lead]) -> None:
    """One line a setting, one mark an arm, and its interval."""
    settings = list(dict.fromkeys(row.setting for row in rows))
    arms = [arm for arm in SHOWN if any(row.arm == arm for row in rows)]
    for arm in arms:
        own, look = [row for row in rows if row.arm == arm], LOOKS[arm]
        shift = 0.16 * (arms.index(arm) - (len(arms) - 1) / 2)
        heights = [settings.index(row.setting) + shift for row in own]
        mark = {"color": look.colour, "marker": look.marker, "linestyle": "", "markersize": 6}
        axis.plot([row.mean for row in own], heights, label=arm, **mark)
        for row, height in zip(own, heights):
            if row.low is not None:
                axis.plot([row.low, row.high], [height] * 2, color=look.colour, linewidth=1.2)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(range(len(settings)), settings, fontsize="small")
    axis.set_ylim(len(settings) - 0.5, -0.5)
    means = [0.0, *(row.mean for row in rows)]
    axis.set_xlim(min(means) - ROOM, max(means) + ROOM)
    axis.grid(axis="x", alpha=0.3)
    axis.legend(loc="upper left", fontsize="small")


def draw_leads(groups: Mapping[str, Sequence[Lead]], path: Path) -> None:
    """Write the forest plot, one panel a group that has any rows."""
    shown = {title: rows for title, rows in groups.items() if rows}
    lines = [len({row.setting for row in rows}) for rows in shown.values()]
    size = (8, 0.4 * sum(lines) + 1.2 * len(shown))
    ratios = {"height_ratios": lines}
    figure, axes = pyplot.subplots(len(shown), 1, figsize=size, squeeze=False, gridspec_kw=ratios)
    for axis, (title, rows) in zip(axes[:, 0], shown.items()):
        _lead_panel(axis, rows)
        axis.set_title(title, fontsize="medium")
    axes[-1, 0].set_xlabel("BLEU on test above a random choice, 95% over seeds (last: settings)")
    _save(figure, path, digest([row for rows in groups.values() for row in rows]))


def draw_plateau(curves: Sequence[Curve], path: Path) -> None:
    """Write BLEU by tokens with bands from the lowest to the highest seed."""
    figure, axis = pyplot.subplots(figsize=(8, 4.5))
    for curve in curves:
        look, plain = LOOKS[curve.arm], (curve.arm, curve.budget) == (BASELINE, FULL)
        name = "plain training" if plain else f"{curve.arm}, {curve.budget:.2f} of the updates"
        style = {"color": look.colour, "marker": look.marker, "linewidth": 1.4, "markersize": 5}
        axis.plot(curve.tokens, curve.mean, label=name, **style)
        band = {"color": look.colour, "alpha": 0.12, "linewidth": 0}
        axis.fill_between(curve.tokens, curve.least, curve.most, **band)
    axis.set_ylim(bottom=min(min(curve.mean[1:]) for curve in curves) - 1)
    axis.set_xlabel("million target tokens trained on")
    axis.set_ylabel("BLEU on test")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small", loc="lower right")
    _save(figure, path, digest(curves))


def _save(figure: Any, path: Path, told: str) -> None:
    figure.tight_layout()
    save_png(figure, path, dpi=110, metadata={DIGEST: told})


def digest_in(path: Path) -> str:
    """The digest in a picture of this module; "" without one."""
    content = path.read_bytes()
    start = content.find(f"tEXt{DIGEST}\0".encode())
    return content[start + len(DIGEST) + 5 :][:16].decode() if start >= 0 else ""


def groups_of(compared: Sequence[Section], crawl: Sequence[Section]) -> dict[str, list[Lead]]:
    """Return the panels of the forest, title -> rows; each panel has means of its own settings."""
    clean = [section for section in compared if section.corpus in CLEAN]
    mixed = [section for section in compared if section.corpus not in CLEAN]
    return {
        "clean text": leads(clean),
        "Multi30k with web pairs mixed in": leads(mixed),
        "raw crawl": leads(crawl),
    }


def write(compared: Sequence[Section], crawl: Sequence[Section], folder: Path) -> None:
    """Write forest.png and plateau.png into a folder."""
    draw_leads(groups_of(compared, crawl), folder / "forest.png")
    draw_plateau(plateau(compared), folder / "plateau.png")
