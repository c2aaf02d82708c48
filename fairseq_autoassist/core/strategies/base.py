"""What a way to choose items has to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from ...options import Options
from ..items import Items
from ..message import Message
from ..source import FeatureSource


class TrainingPoint(NamedTuple):
    """How far a run is when items are decided on.

    Attributes:
        update: the update that is being planned, over the run (a fraction within --update-freq);
            infinite until the trainer's count is known
        passes: passes over the data so far (a fraction)
        share: of the run that is over, in [0, 1]; 0 where the run has no end
        waiting: whether hard items wait (`EasyFirst`), so that what is kept is no sample of the
            data
    """

    update: float
    passes: float
    share: float
    waiting: bool = False


@dataclass(frozen=True)
class Needs:
    """What a strategy needs of the run that it chooses for.

    Attributes:
        losses: whether `Strategy.observe` needs the losses of every batch
        features: whether it looks at the items' features
        columns: whether more columns of features are of use to it, as `Binned` adds them
        run_length: the setting, with its value, that is measured against the length of the run;
            empty: there is none
        prior: whether the planner multiplies P(keep) by the prior; "required": a run without one
            is refused
        keeps_all: whether every item that the prior lets through is kept, from start to end
    """

    losses: bool = False
    features: bool = False
    columns: bool = False
    run_length: str = ""
    prior: Literal["used", "required", "ignored"] = "used"
    keeps_all: bool = False


class Choice(NamedTuple):
    """What is decided about some items.

    Attributes:
        probability: P(keep) of each before the prior, float32 in [0, 1], shape (n,)
        uniform_share: share of items kept whatever they are, in [0, 1]; at most the lowest
            probability
        weight: factor on the loss of each where it is kept, float32, shape (n,); None: 1 for all.
            It knows nothing of the prior, so that no weight takes back what the prior does.
    """

    probability: np.ndarray
    uniform_share: float
    weight: np.ndarray | None = None

    @classmethod
    def all_of(cls, ids: np.ndarray) -> Choice:
        """Keep every item."""
        return cls(np.ones(len(ids), dtype=np.float32), 1.0)


@dataclass(frozen=True)
class Report:
    """Sentence losses of one micro-batch.

    Attributes:
        ids: item ids, int64, shape (n,)
        losses: nats per target token, float32, shape (n,); may hold NaN or infinities
        uniform: bool, shape (n,): kept by the first coin, hence a uniform sample of the data, as
            the prior weighs them
    """

    ids: np.ndarray
    losses: np.ndarray
    uniform: np.ndarray

    def finite(self) -> Report:
        """The part of it whose losses are numbers."""
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
    """Base class: keeps every item. A strategy overrides what it decides differently.

    The planner keeps item i when its coin u_i < probability(i) * prior(i), and marks it as a
    uniform sample when u_i < uniform_share * prior(i): one coin for both. So where there is a
    prior, uniform is a uniform sample of the data as the prior weighs them.

    Args:
        options: settings of the run; an instance of `option_class`
        corpus: the data; a strategy holds on to what it needs of it, since there are many items
    """

    #: what it does, for --help
    about: ClassVar[str] = ""
    #: the options that it reads beside the common ones
    option_class: ClassVar[type[Options]] = Options
    #: what `metrics` gives; logged as ``aa_<name>``
    metric_names: ClassVar[tuple[str, ...]] = ()
    #: whether it begins with easy items without being told to
    easy_first: ClassVar[bool] = False

    def __init__(self, options: Any, corpus: Corpus) -> None:
        self.stopped = False
        self._messages: list[Message] = []

    @classmethod
    def needs(cls, options: Any) -> Needs:
        """What it needs under these options."""
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
        """Learn from the losses of one micro-batch. Called in order of micro-batches.

        Args:
            report: the losses
            point: of the micro-batch that is planned next
        """

    def stop_shrinking(self) -> None:
        """Keep every item that the prior lets through, for the rest of the run; learning may go
        on."""
        self.stopped = True

    def metrics(self, point: TrainingPoint) -> dict[str, float]:
        """Numbers worth plotting, by name: exactly those of `metric_names`.

        Args:
            point: of the last choice, or of the last report if that was later
        """
        return {}

    def messages(self) -> list[Message]:
        """What there is to tell the user since the last call."""
        messages, self._messages = self._messages, []
        return messages

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides the future, as numpy arrays and plain Python.

        That shrinking was stopped is left out: a run that is started again tries again.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""

    @classmethod
    def on_other_data(cls, newest: dict[str, Any], here: dict[str, Any] | None) -> dict[str, Any]:
        """The state to go on with on another data-bin, whose items are others.

        Args:
            newest: saved last, on any data-bin
            here: saved last on that one; None: it was not trained on yet
        """
        return newest

    @classmethod
    def merge(cls, states: list[dict[str, Any]]) -> dict[str, Any]:
        """One state out of those of several ranks, for each rank of another number of ranks."""
        return states[0]
