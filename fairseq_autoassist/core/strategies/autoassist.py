"""AutoAssist, Algorithm 1 of Zhang et al. 2019.

A pair is kept with probability 1 - gamma_k without being looked at, else with probability
g(psi | phi): P(keep) = (1 - gamma_k) + gamma_k * g(psi | phi).

By default it departs from the paper in two things: g is taught which losses lie in a band around
T_k, where the paper has all those above it, and P(keep) has a floor. The config's `PAPERS_RULE` is
the paper's. Off by default: a curriculum before the Assistant chooses.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...config import AutoAssistConfig
from ..assistant import Assistant
from ..curriculum import Curriculum
from ..guard import Guard
from ..protocol import News
from ..source import FeatureSource
from ..utility import Band, ema, labels, update_threshold
from .autoassist_settings import AutoAssistSettings
from .base import Corpus, Report

_AVERAGES = ("accuracy_sum", "positive_sum", "average_weight")


class AutoAssist(AutoAssistSettings):
    """Algorithm 1; every deviation from the paper is a setting of the config.

    State, in the paper's symbols: phi (`assistant`), T_k (`threshold`, nats/token), gamma_k
    (`gamma`), the last one an average that starts at 0, so that training starts without shrinking.
    """

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        if corpus.features is None:
            raise ValueError("the strategy 'autoassist' needs features")
        self.source: FeatureSource = corpus.features
        self.curriculum: Curriculum | None = None
        if config.competence:
            where = corpus.source_sizes, corpus.features, corpus.eligible
            self.curriculum = Curriculum(config, *where)
        self.assistant = Assistant(self.source.dimensions, config.eta, config.weight_decay)
        self.guard = Guard(config.guard_pairs)
        self.threshold: float | None = None
        self.accuracy_sum = 0.0  # average of the accuracy, starting at 0
        self.positive_sum = 0.0  # average of the label, starting at 0
        self.average_weight = 0.0  # what both would be, had every report held 1

    @property
    def competence(self) -> float:
        """c(t) of the curriculum, in (0, 1]; 1 where there is none, or something has failed."""
        if self.curriculum is None or self._failed:
            return 1.0
        return self.curriculum.competence(self.moment.update, self.moment.share)

    @property
    def gamma(self) -> float:
        """gamma_k, in [0, 1]; 0 while shrinking is not allowed."""
        if self.stopped or self.competence < 1.0 or not self.guard.allows:
            return 0.0
        return self.accuracy_sum

    @property
    def _failed(self) -> bool:
        """Whether all pairs are kept because something went wrong."""
        return self.stopped or self.guard.clean_reports_due > 0

    @property
    def uniform_share(self) -> float:
        """1 - gamma_k, the first coin of Algorithm 1, or the floor where that is higher; 0 while
        hard pairs wait."""
        return 0.0 if self.competence < 1.0 else max(1.0 - self.gamma, self.config.floor)

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """(1 - gamma_k) + gamma_k * g(psi | phi), at least the floor, and 0 for pairs that
        wait; float32, shape of ``ids``."""
        gamma = self.gamma
        if gamma == 0.0:
            probability = np.ones(len(ids), dtype=np.float32)
        else:
            probability = self.assistant.predict(self.source, ids)
            probability *= np.float32(gamma)
            probability += np.float32(1.0 - gamma)
            np.maximum(probability, np.float32(self.config.floor), out=probability)
        if self.curriculum is not None:
            probability *= self.curriculum.allows(ids, self.competence)
        return probability

    def observe(self, report: Report) -> None:
        """T_k, then labels, then the accuracy of the Assistant as it was, then eq. (5)."""
        finite = np.isfinite(report.losses)
        bad = int(len(finite) - finite.sum())
        self._say(self.guard.check_losses(bad))
        if bad:
            report = Report(report.ids[finite], report.losses[finite], report.uniform[finite])
        config = self.config
        self.threshold = update_threshold(self.threshold, report.losses, config.threshold_decay)
        if self.threshold is None or len(report.ids) == 0:
            return
        band = Band(config.lower, config.upper or math.inf)
        positive = labels(report.losses, self.threshold, band)
        rows = self.source.gather(report.ids)
        predicted = self.assistant.predict_rows(rows)
        correct = (predicted > 0.5) == positive
        decay = config.gamma_decay
        self.accuracy_sum = ema(self.accuracy_sum, float(correct.mean()), decay)
        self.positive_sum = ema(self.positive_sum, float(positive.mean()), decay)
        self.average_weight = ema(self.average_weight, 1.0, decay)
        self._say(self.guard.judge(correct[report.uniform], positive[report.uniform]))
        self.assistant.learn(rows, positive, predicted)

    def metrics(self) -> dict[str, float]:
        """T (nats/token), gamma, accuracy, majority-class rate, and competence where there is a
        curriculum (all but T in [0, 1])."""
        weight = self.average_weight or 1.0
        positive = self.positive_sum / weight
        found = {
            "T": self.threshold or 0.0,
            "gamma": self.gamma,
            "acc": self.accuracy_sum / weight,
            "majority": max(positive, 1.0 - positive) if self.average_weight else 0.0,
        }
        return found if self.curriculum is None else {**found, "competence": self.competence}

    def state_dict(self) -> dict[str, Any]:
        """phi, T_k, gamma_k, and the guard's evidence and counters."""
        names = ("threshold", *_AVERAGES)
        state: dict[str, Any] = {name: getattr(self, name) for name in names}
        state["assistant"] = self.assistant.state_dict()
        state["guard"] = self.guard.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state.

        Raises:
            ValueError: saved with features of other dimensions
        """
        state = dict(state)
        self.assistant.load_state_dict(state.pop("assistant"))
        self.guard.load_state_dict(state.pop("guard"))
        vars(self).update(state)

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """The mean of the Assistants and of their averages; shrinking where most of them did."""
        thresholds = [s["threshold"] for s in states if s["threshold"] is not None]
        merged = {name: float(np.mean([s[name] for s in states])) for name in _AVERAGES}
        return {
            **merged,
            "threshold": float(np.mean(thresholds)) if thresholds else None,
            "assistant": Assistant.merge([s["assistant"] for s in states]),
            "guard": Guard.merge([s["guard"] for s in states]),
        }

    def _say(self, news: News | None) -> None:
        if news:
            self._news.append(news)
