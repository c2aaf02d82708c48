"""Interface of a strategy: what it is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from ...options import Options
from ..items import Items
from ..message import Message
from ..source import FeatureSource


class TrainingPoint(NamedTuple):
    """Position of a run when items are decided on.

    Attributes:
        update: that is being planned, counted over the run (a fraction in the middle of one);
            infinite until the trainer's count is known
        passes: passes over the data so far (a fraction)
        share: of the run that is over, in [0, 1]; 0 where the run has no end
        waiting: whether hard items wait (`EasyFirst`), so that kept items are no sample of all
    """

    update: float
    passes: float
    share: float
    waiting: bool = False


@dataclass(frozen=True)
class Needs:
    """Needs of a strategy.

    Attributes:
        losses: whether `Strategy.observe` needs the losses of every batch
        features: whether it reads features of the items
        columns: whether it uses further columns of features, as `Binned` adds them
        run_length: the option, with its value, that is a share of the length of the run; empty:
            there is none
        prior: whether the planner multiplies P(keep) by the prior; "required": a run without one
            is refused
        keeps_all: whether every item that the prior lets through is kept in the whole run
    """

    losses: bool = False
    features: bool = False
    columns: bool = False
    run_length: str = ""
    prior: Literal["used", "required", "ignored"] = "used"
    keeps_all: bool = False


class Choice(NamedTuple):
    """Decision about some items.

    Attributes:
        probability: P(keep) of each before the prior, float32 in [0, 1], shape (n,)
        uniform_share: share of items kept uniformly, in [0, 1]; at most the lowest probability
        weight: factor on the loss of each where it is kept, float32, shape (n,); None: 1 for all.
            It does not depend on the prior, so no weight undoes the prior.
    """

    probability: np.ndarray
    uniform_share: float
    weight: np.ndarray | None = None

    @classmethod
    def all_of(cls, ids: np.ndarray) -> Choice:
        """Choice that keeps every item."""
        return cls(np.ones(len(ids), dtype=np.float32), 1.0)


@dataclass(frozen=True)
class Report:
    """Losses of one micro-batch, by item.

    Attributes:
        ids: item ids, int64, shape (n,)
        losses: float32, shape (n,), for text nats per target token; may hold NaN or infinities
        uniform: bool, shape (n,): whether the first coin kept it; these are a uniform sample of
            the data as the prior weighs them
    """

    ids: np.ndarray
    losses: np.ndarray
    uniform: np.ndarray

    def finite(self) -> Report:
        """Part of the report whose losses are finite."""
        finite = np.isfinite(self.losses)
        if finite.all():
            return self
        return Report(self.ids[finite], self.losses[finite], self.uniform[finite])


@dataclass(frozen=True)
class Corpus:
    """What a strategy may know of the data before training.

    Attributes:
        items: what is chosen from
        features: of the items; None where the strategy asked for none
    """

    items: Items
    features: FeatureSource | None = None


class Strategy:
    """Base class, which keeps every item. A strategy overrides what it decides differently.

    One coin u_i decides about item i. The planner keeps it when u_i < probability(i) * prior(i),
    and marks it as uniform when u_i < uniform_share * prior(i). Uniform items are a uniform sample
    of the data as the prior weighs them.

    Args:
        options: settings of the run; an instance of `option_class`
        corpus: the data; a strategy holds on to what it needs of it, since there are many items
    """

    #: what it does, for the help of an option
    about: ClassVar[str] = ""
    #: its own options, which it reads beside the common ones
    option_class: ClassVar[type[Options]] = Options
    #: names of `metrics`; logged as ``aa_<name>``
    metric_names: ClassVar[tuple[str, ...]] = ()
    #: whether hard items wait in any case (`EasyFirst`)
    easy_first: ClassVar[bool] = False

    def __init__(self, options: Any, corpus: Corpus) -> None:
        self.stopped = False
        self._messages: list[Message] = []

    @classmethod
    def needs(cls, options: Any) -> Needs:
        """Needs under these options."""
        return Needs()

    @property
    def failed(self) -> bool:
        """Whether every item is kept because something went wrong."""
        return self.stopped

    def choose(self, ids: np.ndarray, point: TrainingPoint) -> Choice:
        """Decide about items.

        Args:
            ids: of the items, int64, shape (n,)
            point: how far the run is
        """
        return Choice.all_of(ids)

    def observe(self, report: Report, point: TrainingPoint) -> None:
        """Learn from the losses of one micro-batch; called in order of micro-batches.

        Args:
            report: the losses
            point: of the micro-batch that is planned next
        """

    def stop_shrinking(self) -> None:
        """Keep every item that the prior lets through, for the rest of the run."""
        self.stopped = True

    def metrics(self, point: TrainingPoint) -> dict[str, float]:
        """Metrics by name: exactly those of `metric_names`.

        Args:
            point: of the last choice, or of the last report if that came later
        """
        return {}

    def messages(self) -> list[Message]:
        """Messages for the user since the last call."""
        messages, self._messages = self._messages, []
        return messages

    def state_dict(self) -> dict[str, Any]:
        """Numpy arrays and plain Python that decide all later choices.

        `stopped` is left out: a resumed run tries again.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """Make the state to go on with on another data set.

        Args:
            newest: state saved last, on any data set
            here: state saved last on that one; None: it was not trained on yet
        """
        return newest

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """Make one state of those of several ranks, for each rank of another number of ranks."""
        return states[0]
