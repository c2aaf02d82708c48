"""What a way to choose pairs has to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...config import AutoAssistConfig
from ..protocol import Moment, News
from ..source import FeatureSource


@dataclass(frozen=True)
class Report:
    """Sentence losses of one micro-batch.

    Attributes:
        ids: pair ids, int64, shape (n,)
        losses: nats per target token, float32, shape (n,); may hold NaN or infinities
        uniform: bool, shape (n,): kept by the first coin, hence a uniform sample of the data, as
            the prior weighs them
    """

    ids: np.ndarray
    losses: np.ndarray
    uniform: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """What a strategy may know of the data before training.

    Attributes:
        source_sizes, target_sizes: tokens per sentence with EOS, shape (pairs,)
        features: of the pairs; None where the strategy asked for none
        eligible: ids that may be trained on (integers, ascending); None: all
    """

    source_sizes: np.ndarray
    target_sizes: np.ndarray
    features: FeatureSource | None = None
    eligible: np.ndarray | None = None

    @property
    def pairs(self) -> int:
        """Number of pairs; ids are 0 .. pairs - 1."""
        return len(self.source_sizes)


class Strategy:
    """Base class: keeps every pair. A strategy overrides what it decides differently.

    The planner keeps pair i when its coin u_i < keep_probability(i) * prior(i), and marks it as a
    uniform sample when u_i < uniform_share * prior(i): one coin for both. So where there is a
    prior, uniform is a uniform sample of the data as the prior weighs them.
    """

    #: whether the planner multiplies its P(keep) by the prior; the controls do without
    uses_prior = True
    #: whether it cannot do without a prior
    needs_prior = False
    #: whether more columns of features are of use to it: those of `Binned`
    learns_columns = False
    #: whether `observe` needs the losses of every batch (then the criterion must report them)
    needs_losses = False
    #: fields of the config that it alone reads
    settings: tuple[str, ...] = ()

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        # a strategy keeps of the corpus what it needs: all of it is four bytes a pair
        self.config = config
        self.moment = Moment(0.0, 0.0, 0.0)
        self.stopped = False
        self._news: list[News] = []

    @classmethod
    def reads(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """Those of `settings` that count under the others."""
        return cls.settings

    @classmethod
    def keeps_all(cls, config: AutoAssistConfig) -> bool:
        """Whether it keeps every pair that the prior lets through, from start to end."""
        return False

    @classmethod
    def needs_features(cls, config: AutoAssistConfig) -> bool:
        """Whether it looks at the pairs' features (then they must have been built)."""
        return False

    @classmethod
    def needs_end(cls, config: AutoAssistConfig) -> str:
        """The setting that makes it need to know how long the run is; empty: it need not."""
        return ""

    @classmethod
    def metric_names(cls, config: AutoAssistConfig) -> tuple[str, ...]:
        """What `metrics` gives; logged as ``aa_<name>``."""
        return ()

    def at(self, moment: Moment) -> None:
        """Take the time. Called before pairs are decided on."""
        self.moment = moment

    @property
    def uniform_share(self) -> float:
        """Share of pairs kept whatever they are, in [0, 1]; never above any keep probability."""
        return 1.0

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """P(keep) of each pair before the prior, float32 in [0, 1], shape of ``ids`` (int64)."""
        return np.ones(len(ids), dtype=np.float32)

    def loss_weight(self, ids: np.ndarray, probability: np.ndarray) -> np.ndarray | None:
        """Factor on each kept pair's loss, float32, shape of ``ids``; None: 1 for all.

        It knows nothing of the prior, so that no weight takes back what the prior does.

        Args:
            ids: pairs that were kept just now
            probability: what `keep_probability` gave for each of them
        """
        return None

    def observe(self, report: Report) -> None:
        """Learn from the losses of one micro-batch. Called in order of micro-batches."""

    def stop_shrinking(self) -> None:
        """Keep every pair that the prior lets through, for the rest of the run; learning may go
        on."""
        self.stopped = True

    def metrics(self) -> dict[str, float]:
        """Numbers worth plotting, by name: exactly those of `metric_names`."""
        return {}

    def news(self) -> list[News]:
        """What there is to tell the user since the last call."""
        news, self._news = self._news, []
        return news

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the future, as numpy arrays and plain Python.

        That shrinking was stopped is left out: a run that is started again tries again.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """The state to go on with on another data-bin, whose pairs are others.

        Args:
            newest: saved last, on any data-bin
            here: saved last on that one; None: it was not trained on yet
        """
        return newest

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """One state out of those of several ranks, for each rank of another number of ranks."""
        return states[0]
