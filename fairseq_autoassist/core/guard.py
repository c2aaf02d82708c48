"""Is the Assistant worth listening to? Judged on the uniform slice, where nothing is biased.

Over all kept pairs the answer would be wrong in both directions: pairs are kept *because* the
Assistant believes in them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .message import Message

# A loss that was not finite keeps shrinking off until this many reports in a row were clean.
CLEAN_REPORTS = 100
# Verdicts in a row after which "no better than the majority class" is a failure.
PATIENCE = 10
# Verdicts in a row that it takes to doubt an Assistant that was found better before. The pairs of a
# batch are of one length and their losses go together, so a verdict rests on fewer independent ones
# than it counts: on documentation the majority class alone moved by 0.15 from one to the next.
DOUBTS = 3
# A verdict on labels of which more than this share are the same counts for none of these. At first
# that is the rule: losses lie close together around T_k, or all below it while they fall faster.
ONE_SIDED = 0.9


_NONE = np.empty(0, dtype=bool)


class Outcome(NamedTuple):
    """What a report showed of the Assistant.

    Attributes:
        bad: losses that were NaN or infinite
        correct: bool, shape (n,): it was right (before learning from the pair), for each uniformly
            kept pair of a finite loss
        positive: their labels z, bool, shape (n,)
    """

    bad: int = 0
    correct: np.ndarray = _NONE
    positive: np.ndarray = _NONE


class Guard:
    """Decides from its evidence whether shrinking is allowed.

    Args:
        window: uniformly kept pairs to a verdict; 0 disables the comparison with the majority
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.useless = False
        self.trusted = False  # found better since it was last called useless
        self.doubts = 0  # verdicts against it in a row
        self.useless_verdicts = 0  # those of them that count as a failure
        self.clean_reports_due = 0
        self._pairs = self._correct = self._positive = 0

    @property
    def allows(self) -> bool:
        """Whether shrinking is allowed now."""
        return not self.useless and self.clean_reports_due == 0

    def judge(self, outcome: Outcome) -> list[Message]:
        """Take the outcome of a report; returns what is worth saying: that something changed."""
        found = self._judge_losses(outcome.bad), self._judge_labels(outcome)
        return [message for message in found if message]

    def _judge_losses(self, bad: int) -> Message | None:
        if bad:
            first = self.clean_reports_due == 0
            self.clean_reports_due = CLEAN_REPORTS
            if first:
                return Message(
                    f"{bad} sentence losses of one batch are NaN or infinite: not learned "
                    f"from, no shrinking until {CLEAN_REPORTS} batches in a row are clean",
                    bad=True,
                )
        elif self.clean_reports_due:
            self.clean_reports_due -= 1
        return None

    def _judge_labels(self, outcome: Outcome) -> Message | None:
        if not self.window:
            return None
        self._pairs += len(outcome.correct)
        self._correct += int(outcome.correct.sum())
        self._positive += int(outcome.positive.sum())
        if self._pairs < self.window:
            return None
        accuracy = self._correct / self._pairs
        majority = max(self._positive, self._pairs - self._positive) / self._pairs
        # one standard error of an accuracy at chance: luck is no skill
        doubtful = accuracy <= majority + math.sqrt(0.25 / self._pairs)
        found = f"accuracy {accuracy:.3f}, majority class {majority:.3f} on {self._pairs} pairs"
        self._pairs = self._correct = self._positive = 0
        self.doubts = self.doubts + 1 if doubtful else 0
        useless = self.doubts >= (DOUBTS if self.trusted else 1)
        changed, self.useless, self.trusted = useless != self.useless, useless, not useless
        counts = doubtful and majority <= ONE_SIDED
        self.useless_verdicts = self.useless_verdicts + counts if doubtful else 0
        if counts and self.useless_verdicts == PATIENCE:
            text = f"the Assistant is still no better than the majority class ({found}) after "
            return Message(text + f"{PATIENCE} verdicts: not shrinking", bad=True)
        if not changed:
            return None
        if useless:
            text = f"the Assistant is no better than the majority class ({found}): not shrinking"
        else:
            text = f"the Assistant has become better than the majority class ({found}): shrinking"
        return Message(text, bad=False)

    def state_dict(self) -> dict[str, Any]:
        """Plain Python numbers."""
        return {key: value for key, value in vars(self).items() if key != "window"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        vars(self).update(state)

    @staticmethod
    def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
        """The verdict of most ranks, and a new count of evidence."""
        merged = dict.fromkeys(states[0], 0)
        for verdict in ("useless", "trusted"):
            merged[verdict] = 2 * sum(s[verdict] for s in states) > len(states)
        merged["clean_reports_due"] = max(s["clean_reports_due"] for s in states)
        return merged
