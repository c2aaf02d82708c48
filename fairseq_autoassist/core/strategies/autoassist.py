"""AutoAssist, Algorithm 1 of Zhang et al. 2019.

An item is kept with probability 1 - gamma_k whatever the Assistant says, otherwise with probability
g(psi | phi). So P(keep) = (1 - gamma_k) + gamma_k * g(psi | phi).

The default departs from the paper in two points. Label 1 means a loss in a band around T_k, in the
paper a loss above T_k. P(keep) has a floor. `PAPERS_RULE` gives the paper's method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ConfigError
from ...options import Options, flag, option
from ..assistant import Assistant
from ..guard import Guard, Outcome
from ..labels import Band, ema, labels, update_threshold
from ..message import Message
from ..source import FeatureSource
from .base import Choice, Corpus, Needs, Report, Strategy, TrainingPoint

_PAPER = "Zhang, Yu, Dhillon 2019"
_AVERAGES = ("accuracy_sum", "positive_sum", "average_weight")
# Options of the paper's method: label 1 above T_k (section 3.2), and no floor
PAPERS_RULE = {"lower": 1.0, "upper": 0.0, "floor": 0.0}


@dataclass(frozen=True)
class AutoAssistOptions(Options):
    """Options of `AutoAssist`: symbols of the paper, and deviations from it."""

    eta: float = option(
        2.0,
        "learning rate of the Assistant (per report, on unit-norm TF-IDF blocks)",
        _PAPER + ", eq. (5); value: ours, see docs/method.md",
        low=0.0,
    )
    weight_decay: float = option(
        1e-5,
        "lambda: share of the Assistant's weights forgotten at each report",
        _PAPER + ", eq. (5); value: ours",
        low=0.0,
        high=0.5,
    )
    threshold_decay: float = option(
        0.95,
        "decay per report of the moving average T_k of losses (nats/token)",
        _PAPER + ", section 3.2; value: ours",
        low=0.0,
        high=0.999999,
    )
    gamma_decay: float = option(
        0.99,
        "decay per report of the moving average gamma_k of the Assistant's accuracy",
        _PAPER + ", Algorithm 1; value: ours",
        low=0.0,
        high=0.999999,
    )
    floor: float = option(
        0.3,
        "least keep probability of an item, before the prior; the authors' own code has 0.5 for "
        "translation",
        "value: ours, see docs/results.md; 0 is the paper's rule",
        low=0.0,
        high=1.0,
    )
    lower: float = option(
        0.3,
        "losses up to this multiple of T_k are labelled 0: learned already",
        _PAPER + ", section 3.2; value: ours, see docs/results.md; 1 is the paper's rule",
        low=0.0,
    )
    upper: float = option(
        1.25,
        "losses above this multiple of T_k are labelled 0: far too hard now, or misaligned, or of "
        "another language; 0 or inf: no limit",
        "value: ours, see docs/results.md; 0 is the paper's rule",
        low=0.0,
    )
    guard_pairs: int = option(
        2000,
        "uniformly kept items per verdict of the guard, which stops skipping while the Assistant "
        "is no better than the majority class (docs/method.md); 0: no verdicts",
        "ours",
        low=0,
    )

    def __post_init__(self) -> None:
        if self.upper == math.inf:  # means no limit, as 0 does
            object.__setattr__(self, "upper", 0.0)
        super().__post_init__()
        if 0.0 < self.upper <= self.lower:  # no loss would lie between them
            raise ConfigError(
                f"{flag('upper')} is {self.upper}, expected 0 or more than {flag('lower')}, which "
                f"is {self.lower}"
            )

    @property
    def band(self) -> Band:
        """Losses that are labelled 1, as multiples of T_k."""
        return Band(self.lower, self.upper or math.inf)


class AutoAssist(Strategy):
    """Keeps items by Algorithm 1.

    State, in the paper's symbols: phi (`assistant`), T_k (`threshold`, nats/token) and gamma_k
    (`accuracy_sum`). gamma_k starts at 0, so training starts without skipping.
    """

    about = "asks the Assistant, Algorithm 1"
    option_class = AutoAssistOptions
    metric_names = ("T", "gamma", "acc", "majority")

    def __init__(self, options: AutoAssistOptions, corpus: Corpus) -> None:
        super().__init__(options, corpus)
        if corpus.features is None:
            raise ValueError("the strategy 'autoassist' needs features")
        self.options = options
        self.source: FeatureSource = corpus.features
        self.assistant = Assistant(self.source.dimensions, options.eta, options.weight_decay)
        self.guard = Guard(options.guard_pairs)
        self.threshold: float | None = None
        self.accuracy_sum = 0.0  # moving average of the accuracy from 0: gamma_k
        self.positive_sum = 0.0  # moving average of the label from 0
        self.average_weight = 0.0  # moving average of 1 from 0, which corrects both for metrics
        self._said = False  # that the limits of the label need losses above 0

    @classmethod
    def needs(cls, options: Any) -> Needs:
        """Losses and features, with all columns there are."""
        return Needs(losses=True, features=True, columns=True)

    @property
    def failed(self) -> bool:
        """Whether shrinking was stopped, or losses were not finite."""
        return self.stopped or self.guard.clean_reports_due > 0

    def gamma(self, point: TrainingPoint) -> float:
        """Give gamma_k, in [0, 1]; 0 while shrinking is not allowed, or hard items wait."""
        allowed = self.guard.allows and not self.stopped and not point.waiting
        return self.accuracy_sum if allowed else 0.0

    def choose(self, ids: np.ndarray, point: TrainingPoint) -> Choice:
        """Keep with probability (1 - gamma_k) + gamma_k * g(psi | phi), at least the floor.

        The uniform share is 1 - gamma_k, the first coin, or the floor where that is higher.
        """
        gamma, floor = self.gamma(point), self.options.floor
        if gamma == 0.0:
            return Choice.all_of(ids)
        probability = self.assistant.predict(self.source, ids)
        probability *= np.float32(gamma)
        probability += np.float32(1.0 - gamma)
        np.maximum(probability, np.float32(floor), out=probability)
        return Choice(probability, max(1.0 - gamma, floor))

    def observe(self, report: Report, point: TrainingPoint) -> None:
        """Update T_k, make labels, update gamma_k before learning, then make a step of eq. (5)."""
        finite, options = report.finite(), self.options
        outcome = Outcome(bad=len(report.ids) - len(finite.ids))
        self.threshold = update_threshold(self.threshold, finite.losses, options.threshold_decay)
        if self.threshold is not None and len(finite.ids):
            positive = labels(finite.losses, self.threshold, options.band)
            self._say_if_negative(self.threshold)
            rows = self.source.gather(finite.ids)
            predicted = self.assistant.predict_rows(rows, finite.ids)
            correct = (predicted > 0.5) == positive
            decay = options.gamma_decay
            self.accuracy_sum = ema(self.accuracy_sum, float(correct.mean()), decay)
            self.positive_sum = ema(self.positive_sum, float(positive.mean()), decay)
            self.average_weight = ema(self.average_weight, 1.0, decay)
            self.assistant.learn(rows, positive, predicted)
            outcome = Outcome(outcome.bad, correct[finite.uniform], positive[finite.uniform])
        self._messages += self.guard.judge(outcome)

    def _say_if_negative(self, threshold: float) -> None:
        if threshold < 0.0 and math.isfinite(self.options.band.upper) and not self._said:
            self._said = True
            text = (
                f"the limits of the label are multiples of the mean loss, found {threshold:.3g}, "
                "expected above 0: every label is 0 and nothing is learned; set lower to 1 and "
                "upper to 0, as the paper does"
            )
            self._messages.append(Message(text, bad=False))

    def metrics(self, point: TrainingPoint) -> dict[str, float]:
        """T (nats/token); gamma, accuracy and rate of the majority class, each in [0, 1]."""
        weight = self.average_weight or 1.0
        positive = self.positive_sum / weight
        return {
            "T": self.threshold or 0.0,
            "gamma": self.gamma(point),
            "acc": self.accuracy_sum / weight,
            "majority": max(positive, 1.0 - positive) if self.average_weight else 0.0,
        }

    def state_dict(self) -> dict[str, Any]:
        """State: phi, T_k, gamma_k and the guard."""
        state = {name: getattr(self, name) for name in ("threshold", *_AVERAGES)}
        own = {"assistant": self.assistant.state_dict(), "guard": self.guard.state_dict()}
        return {**state, **own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: saved with features of other dimensions
        """
        self.assistant.load_state_dict(state["assistant"])
        self.guard.load_state_dict(state["guard"])
        for name in ("threshold", *_AVERAGES):
            setattr(self, name, state[name])

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """Mean of the Assistants and of their averages, with the guard's verdict of most ranks."""
        thresholds = [s["threshold"] for s in states if s["threshold"] is not None]
        merged = {name: float(np.mean([s[name] for s in states])) for name in _AVERAGES}
        return {
            **merged,
            "threshold": float(np.mean(thresholds)) if thresholds else None,
            "assistant": Assistant.merge([s["assistant"] for s in states]),
            "guard": Guard.merge([s["guard"] for s in states]),
        }
