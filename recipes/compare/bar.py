"""The bar a strategy has to clear, and the judgement of one arm by it.

Against plain training: final BLEU not inferior with at most 0.70 of its tokens and 0.75 of its wall
time, on two of three corpora; and better than random choice at equal tokens on all of them.
Each answer is yes, no, or None: the records do not say (one seed, other devices, a run missing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from preprocess.text import UserError
from recipes.compare.sections import Cell, Section
from recipes.compare.statistics import MARGIN, Estimate, difference, ratio, time_ratio

TOKENS, WALL, CORPORA, NEEDED = 0.70, 0.75, ("multi30k", "tatoeba", "msdocs"), 2
ROUNDING = 0.005  # batches are not all of one size: 0.70 of the updates is not 0.7000 of the tokens


@dataclass(frozen=True)
class Answer:
    """What the records say of one cell against the baseline and against random."""

    section: Section
    cell: Cell
    tokens: float  # ratio to the baseline
    wall: float | None  # None also where runs shared a GPU: their times say how busy it was
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
    """Return one answer per cell, the baseline's left out; none without a baseline."""
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


def judged(found: Sequence[Answer]) -> Answer | None:
    """Pick the budget an arm is judged at in one section.

    The smallest that clears the bar, better than random too if there is one; if none does, the
    largest that spends few enough tokens, or the smallest of all.
    """
    by_tokens = sorted(found, key=lambda answer: answer.tokens)
    clear = [answer for answer in by_tokens if answer.saves]
    clear.sort(key=lambda answer: not answer.over_random)  # stable: still by tokens within each
    frugal = [answer for answer in by_tokens if answer.tokens <= TOKENS + ROUNDING]
    return clear[0] if clear else frugal[-1] if frugal else by_tokens[0] if by_tokens else None


def judge(sections: Sequence[Section], arm: str, architecture: str) -> list[tuple[str, Answer]]:
    """Return (corpus, answer) of an arm on each corpus of the bar that has records of it.

    Of several sections of a corpus the longest counts, where plain training is nearest to its
    plateau; of several of one length (other devices) the one with the most runs. Raises UserError
    where no record is of this arm and architecture.
    """
    of_arm: dict[str, list[tuple[tuple[int, int], Answer]]] = {}
    for section in sections:
        answer = judged([a for a in answers(section) if a.cell.arm == arm])
        if answer and section.architecture == architecture:
            rank = section.updates, len(section.records)
            of_arm.setdefault(section.corpus, []).append((rank, answer))
    arms = sorted({c.arm for s in sections for c in s.cells if s.architecture == architecture})
    if not of_arm and arm not in arms:
        raise UserError(
            f"--bar-arm {arm}: no record of it with architecture {architecture}; expected one of "
            f"{', '.join(arms) or 'none'}: name one, or another --bar-architecture"
        )
    best = {corpus: max(found, key=lambda pair: pair[0])[1] for corpus, found in of_arm.items()}
    return [(corpus, best[corpus]) for corpus in CORPORA if corpus in best]


def architectures(sections: Sequence[Section], arm: str) -> list[str]:
    """The architectures that an arm can be judged with: all that have it on a corpus of the bar.

    Raises:
        UserError: none has
    """
    told = {
        s.architecture for s in sections if s.corpus in CORPORA for c in s.cells if c.arm == arm
    }
    if not told:
        arms = sorted({cell.arm for section in sections for cell in section.cells})
        raise UserError(
            f"--bar-arm {arm}: no record of it on {', '.join(CORPORA)}; expected one of "
            f"{', '.join(arms) or 'none'}: name one"
        )
    return sorted(told)


def verdict(found: Sequence[tuple[str, Answer]]) -> str:
    """Say in one line whether the bar is met; what is not known is not met."""
    saves = [corpus for corpus, answer in found if answer.saves]
    better = [corpus for corpus, answer in found if answer.over_random]
    met = len(saves) >= NEEDED and len(better) == len(CORPORA)
    return (
        f"{'met' if met else 'not met'}: saves enough on {len(saves)} of {len(CORPORA)} corpora "
        f"({NEEDED} needed), better than random on {len(better)} of {len(CORPORA)} (all needed)"
    )
