"""Decides whether the Assistant may shrink, by its accuracy on the uniform slice.

The accuracy over all kept items is biased: the Assistant's own predictions decide which are kept.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .message import Message

# After a loss that is not finite, shrinking is off until so many reports in a row are clean.
CLEAN_REPORTS = 100
# So many verdicts in a row that the Assistant is no better than the majority class are a failure.
PATIENCE = 10
# So many verdicts in a row turn shrinking off under an Assistant that was better before. The items
# of a batch are of one length and their losses correlate, so a verdict rests on fewer independent
# items than it counts. On documentation the majority class moved by 0.15 between two verdicts.
DOUBTS = 3
# A verdict with a larger share of equal labels does not count as a failure. Early in training most
# are such: losses lie close around T_k, or all below it while they fall.
ONE_SIDED = 0.9


_NONE = np.empty(0, dtype=bool)


class Outcome(NamedTuple):
    """Evidence of one report about the Assistant.

    Attributes:
        bad: number of losses that were NaN or infinite
        correct: bool, shape (n,): whether it was right, before learning from the item, for each
            uniformly kept item with a finite loss
        positive: their labels z, bool, shape (n,)
    """

    bad: int = 0
    correct: np.ndarray = _NONE
    positive: np.ndarray = _NONE


class Guard:
    """Collects evidence and decides whether shrinking is allowed.

    Args:
        window: uniformly kept items to a verdict; 0: it is never compared with the majority
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.useless = False
        self.trusted = False  # found better since the last verdict that it is useless
        self.doubts = 0  # verdicts against it in a row
        self.useless_verdicts = 0  # those of them that count as a failure
        self.clean_reports_due = 0
        self._judged = self._correct = self._positive = 0

    @property
    def allows(self) -> bool:
        """Whether shrinking is allowed now."""
        return not self.useless and self.clean_reports_due == 0

    def judge(self, outcome: Outcome) -> list[Message]:
        """Take the outcome of a report; returns messages about what changed."""
        found = self._judge_losses(outcome.bad), self._judge_labels(outcome)
        return [message for message in found if message]

    def _judge_losses(self, bad: int) -> Message | None:
        if bad:
            first = self.clean_reports_due == 0
            self.clean_reports_due = CLEAN_REPORTS
            if first:
                return Message(
                    f"{bad} losses of one batch are NaN or infinite: not learned "
                    f"from, nothing is skipped until {CLEAN_REPORTS} batches in a row are clean",
                    bad=True,
                )
        elif self.clean_reports_due:
            self.clean_reports_due -= 1
        return None

    def _judge_labels(self, outcome: Outcome) -> Message | None:
        if not self.window:
            return None
        self._judged += len(outcome.correct)
        self._correct += int(outcome.correct.sum())
        self._positive += int(outcome.positive.sum())
        if self._judged < self.window:
            return None
        accuracy = self._correct / self._judged
        majority = max(self._positive, self._judged - self._positive) / self._judged
        # it must win by one standard error of an accuracy at chance
        doubtful = accuracy <= majority + math.sqrt(0.25 / self._judged)
        found = f"accuracy {accuracy:.3f}, majority class {majority:.3f} on {self._judged} items"
        self._judged = self._correct = self._positive = 0
        self.doubts = self.doubts + 1 if doubtful else 0
        useless = self.doubts >= (DOUBTS if self.trusted else 1)
        changed, self.useless, self.trusted = useless != self.useless, useless, not useless
        counts = doubtful and majority <= ONE_SIDED
        self.useless_verdicts = self.useless_verdicts + counts if doubtful else 0
        if counts and self.useless_verdicts == PATIENCE:
            text = f"the Assistant is still no better than the majority class ({found}) after "
            return Message(text + f"{PATIENCE} verdicts: nothing is skipped", bad=True)
        if not changed:
            return None
        if useless:
            text = f"the Assistant is no better than the majority class ({found}): "
            return Message(text + "nothing is skipped", bad=False)
        text = f"the Assistant has become better than the majority class ({found}): skipping"
        return Message(text, bad=False)

    def state_dict(self) -> dict[str, Any]:
        """Plain Python numbers."""
        return {key: value for key, value in vars(self).items() if key != "window"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        vars(self).update(state)

    @staticmethod
    def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
        """Verdict of most ranks, with an empty count of evidence."""
        merged = dict.fromkeys(states[0], 0)
        for verdict in ("useless", "trusted"):
            merged[verdict] = 2 * sum(s[verdict] for s in states) > len(states)
        merged["clean_reports_due"] = max(s["clean_reports_due"] for s in states)
        return merged
