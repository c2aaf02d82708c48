"""Acceptance: targets of a strategy, and whether the records show that it reaches them.

Against plain training: final BLEU not inferior with at most 0.70 of its tokens and 0.75 of its wall
time. Against random: better at equal tokens. Each answer is yes, no, or None where the records do
not tell (one seed, other devices, a missing run).
"""

from __future__ import annotations

from dataclasses import dataclass

from recipes.compare.sections import Cell, Section
from recipes.compare.statistics import MARGIN, Estimate, difference, ratio, time_ratio

TOKENS, WALL = 0.70, 0.75  # shares of plain training's
ROUNDING = 0.005  # batches differ in size, so 0.70 of the updates is not exactly 0.70 of the tokens


@dataclass(frozen=True)
class Answer:
    """Comparison of one cell with the baseline and with random."""

    section: Section
    cell: Cell
    tokens: float  # ratio to the baseline
    wall: float | None  # None also where runs shared a GPU, whose load then sets their times
    bleu: Estimate | None  # difference to the baseline
    random: Estimate | None  # difference to the cell's control
    random_tokens: float | None = None  # ratio to the control's

    @property
    def non_inferior(self) -> bool | None:
        return self.bleu.above(-MARGIN) if self.bleu else None

    @property
    def over_random(self) -> bool | None:
        return self.random.above(0.0) if self.random else None

    @property
    def saves(self) -> bool | None:
        """Non-inferior with few enough tokens and little enough time."""
        fast = None if self.wall is None else self.wall <= WALL + ROUNDING
        parts = [self.tokens <= TOKENS + ROUNDING, fast, self.non_inferior]
        return False if False in parts else None if None in parts else True


def answers(section: Section) -> list[Answer]:
    """Return one answer per cell but the baseline; none without a baseline."""
    base = section.baseline
    if base is None:
        return []
    found = []
    for cell in section.cells:
        if cell is base:
            continue
        control = section.control(cell)
        shared = any(r.condition.shared for r in (*cell.records, *base.records))
        found.append(
            Answer(
                section,
                cell,
                ratio(cell, base, "tokens"),
                None if shared else time_ratio(cell, base),
                difference(cell, base),
                difference(cell, control) if control else None,
                ratio(cell, control, "tokens") if control else None,
            )
        )
    return found
