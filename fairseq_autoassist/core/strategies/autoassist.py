"""AutoAssist, Algorithm 1 of Zhang et al. 2019.

A pair is kept with probability 1 - gamma_k without being looked at, else with probability
g(psi | phi): P(keep) = (1 - gamma_k) + gamma_k * g(psi | phi).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...config import AutoAssistConfig
from ..assistant import Assistant
from ..features import FeatureSource
from ..guard import Guard
from ..plan import News
from ..utility import ema, labels, update_threshold
from .base import Report, Strategy

_AVERAGES = ("accuracy_sum", "positive_sum", "average_weight")


class AutoAssist(Strategy):
    """The paper's rule; every deviation is an option of the config, off by default.

    State, in the paper's symbols: phi (`assistant`), T_k (`threshold`, nats/token), gamma_k
    (`gamma`), the last one an average that starts at 0, so that training starts without shrinking.
    """

    needs_losses = True
    needs_features = True
    metric_names = ("T", "gamma", "acc", "majority")

    def __init__(self, config: AutoAssistConfig, features: FeatureSource | None) -> None:
        super().__init__(config, features)
        if features is None:
            raise ValueError("the strategy 'autoassist' needs features")
        self.source = features
        self.assistant = Assistant(
            features.dimensions, config.eta, config.weight_decay, config.intercept
        )
        self.guard = Guard(config.guard_pairs)
        self.threshold: float | None = None
        self.accuracy_sum = 0.0  # average of the accuracy, starting at 0
        self.positive_sum = 0.0  # average of the label, starting at 0
        self.average_weight = 0.0  # what both would be, had every report held 1
        self.not_finite = 0
        self.stopped = False

    @property
    def gamma(self) -> float:
        """gamma_k, in [0, gamma_max]; 0 while shrinking is not allowed."""
        if self.stopped or not self.guard.allows:
            return 0.0
        return min(self.accuracy_sum, self.config.gamma_max)

    @property
    def uniform_share(self) -> float:
        """1 - gamma_k: the first coin of Algorithm 1."""
        return 1.0 - self.gamma

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """(1 - gamma_k) + gamma_k * g(psi | phi), float32, shape of ``ids``."""
        gamma = self.gamma
        if gamma == 0.0:
            return np.ones(len(ids), dtype=np.float32)
        probability = self.assistant.predict(self.source, ids)
        probability *= np.float32(gamma)
        probability += np.float32(1.0 - gamma)
        return probability

    def observe(self, report: Report) -> None:
        """T_k, then labels, then the accuracy of the Assistant as it was, then eq. (5)."""
        finite = np.isfinite(report.losses)
        bad = int(len(finite) - finite.sum())
        self.not_finite += bad
        self._say(self.guard.check_losses(bad))
        if bad:
            report = Report(report.ids[finite], report.losses[finite], report.uniform[finite])
        if len(report.ids) == 0:
            return
        config = self.config
        feeding = report.uniform if config.threshold_from == "uniform" else slice(None)
        self.threshold = update_threshold(
            self.threshold, report.losses[feeding], config.threshold_decay
        )
        if self.threshold is None:
            return
        positive = labels(report.losses, self.threshold)
        rows = self.source.gather(report.ids)
        predicted = self.assistant.predict_rows(rows)
        correct = (predicted > 0.5) == positive
        decay = config.gamma_decay
        self.accuracy_sum = ema(self.accuracy_sum, float(correct.mean()), decay)
        self.positive_sum = ema(self.positive_sum, float(positive.mean()), decay)
        self.average_weight = ema(self.average_weight, 1.0, decay)
        self._say(self.guard.judge(correct[report.uniform], positive[report.uniform]))
        self.assistant.learn(rows, positive, predicted)

    def stop_shrinking(self) -> None:
        """Keep every pair from now on; the Assistant goes on learning."""
        self.stopped = True

    def metrics(self) -> dict[str, float]:
        """T (nats/token), gamma, accuracy and majority-class rate (both in [0, 1])."""
        weight = self.average_weight or 1.0
        positive = self.positive_sum / weight
        return {
            "T": self.threshold or 0.0,
            "gamma": self.gamma,
            "acc": self.accuracy_sum / weight,
            "majority": max(positive, 1.0 - positive) if self.average_weight else 0.0,
        }

    def state_dict(self) -> dict[str, Any]:
        """phi, T_k, gamma_k, the guard's evidence and counters.

        That shrinking was stopped is left out: a run that is started again tries again.
        """
        names = ("threshold", "not_finite", *_AVERAGES)
        state: dict[str, Any] = {name: getattr(self, name) for name in names}
        state["assistant"] = self.assistant.state_dict()
        state["guard"] = self.guard.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: saved with features of other dimensions
        """
        plain = {k: v for k, v in state.items() if k not in ("assistant", "guard")}
        self.assistant.load_state_dict(state["assistant"])
        self.guard.load_state_dict(state["guard"])
        vars(self).update(plain)

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """The mean of the Assistants and of their averages; shrinking where most of them did."""
        thresholds = [s["threshold"] for s in states if s["threshold"] is not None]
        merged = {name: float(np.mean([s[name] for s in states])) for name in _AVERAGES}
        return {
            **merged,
            "threshold": float(np.mean(thresholds)) if thresholds else None,
            "not_finite": sum(s["not_finite"] for s in states),
            "assistant": Assistant.merge([s["assistant"] for s in states]),
            "guard": Guard.merge([s["guard"] for s in states]),
        }

    def _say(self, news: News | None) -> None:
        if news:
            self._news.append(news)
