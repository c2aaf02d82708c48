"""Acceptance: targets of a strategy, and whether the records show that it reaches them.

Against plain training: final BLEU not inferior with at most 0.70 of its tokens and 0.75 of its wall
time. Against random: better at equal tokens. Each answer is yes, no, or None where the records do
not tell (one seed, other devices, a missing run).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from recipes.compare.sections import NEAR, Cell, Section
from recipes.compare.statistics import MARGIN, Estimate, difference, ratio, time_ratio
from recipes.compare.tables import interval, number, table, yes

TOKENS, WALL = 0.70, 0.75  # shares of plain training's
ROUNDING = 0.005  # batches differ in size, so 0.70 of the updates is not exactly 0.70 of the tokens
WORDS = f"""Saves: non-inferior with at most {TOKENS:.2f} of the tokens and {WALL:.2f} of the
wall time, to which {ROUNDING} is added: batches are not all of one size, and a share of the updates
is nearly that of the tokens. Better than random: the interval of the difference lies above 0.
Random is the run of it at the same budget, or at another if its tokens are nearer and within
{NEAR:.0%}; at equal budgets, which count updates, random's batches are a little emptier ("tokens to
random"). "-": the records do not say (one seed, no such run, none under the same conditions, or
times of runs that shared a GPU)."""


@dataclass(frozen=True)
class Answer:
    """Comparison of one cell with the baseline and with random."""

    cell: Cell
    tokens: float  # ratio to the baseline
    wall: float | None  # None also where runs shared a GPU, whose load then sets their times
    bleu: Estimate | None  # difference to the baseline
    random: Estimate | None  # difference to the cell's control
    random_tokens: float | None = None  # ratio to the control's

    @property
    def non_inferior(self) -> bool | None:
        """Whether the interval of BLEU to plain training lies above -MARGIN; None without one."""
        return self.bleu.above(-MARGIN) if self.bleu else None

    @property
    def over_random(self) -> bool | None:
        """Whether the interval of BLEU to random lies above 0; None without one."""
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
    return [_answer(section, c, base) for c in section.cells if base and c is not base]


def _answer(section: Section, cell: Cell, base: Cell) -> Answer:
    control = section.control(cell)
    shared = any(r.condition.shared for r in (*cell.records, *base.records))
    return Answer(
        cell,
        ratio(cell, base, "tokens"),
        None if shared else time_ratio(cell, base),
        difference(cell, base),
        difference(cell, control),
        ratio(cell, control, "tokens") if control else None,
    )


def acceptance(sections: Sequence[Section]) -> str:
    """Acceptance of every cell with a baseline; may be empty."""
    headers = ["corpus, architecture", "arm", "budget", "tokens x", "wall x", "BLEU to uniform"]
    headers += ["non-inf.", "saves", "BLEU to random", "tokens to random", "better than random"]
    return table([[s.name, *_row(a)] for s in sections for a in answers(s)], headers)


def _row(answer: Answer) -> list[str]:
    row = [answer.cell.arm, number(answer.cell.budget), number(answer.tokens, 3)]
    row += [number(answer.wall, 3)]
    row += [interval(answer.bleu, "+"), yes(answer.non_inferior), yes(answer.saves)]
    row += [interval(answer.random, "+"), number(answer.random_tokens, 3)]
    return [*row, yes(answer.over_random)]
