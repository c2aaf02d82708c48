"""Easy items first, around any strategy, which decides on the others while hard items wait.

The curriculum (`core/curriculum.py`) is that of Platanios et al., NAACL 2019.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from ...errors import ConfigError
from ...options import Options, flag, option
from ..curriculum import Curriculum
from ..message import Message
from .base import Choice, Corpus, Needs, Report, Strategy, TrainingPoint

SWITCH = "competence"  # the option that puts it around a strategy
METRIC = "competence"
_RARITY, _LENGTH = "rarity", "length"


@dataclass(frozen=True)
class EasyFirstOptions(Options):
    """Options of `EasyFirst`."""

    competence: bool = option(
        False,
        "begin with easy items: items that are harder than the competence c(t) allows wait; until "
        "c(t) is 1 the Assistant learns and skips nothing",
        "Platanios et al. 2019; the paper has none",
    )
    competence_by: str = option(
        _RARITY,
        "difficulty for 'competence': 'rarity' of the source's words, or its 'length'",
        "Platanios et al. 2019, section 3",
        choices=(_RARITY, _LENGTH),
    )
    competence_start: float = option(
        0.01,
        "c_0: share of the items, the easiest, that 'competence' begins with",
        "Platanios et al. 2019, section 4",
        low=0.0001,
        high=1.0,
    )
    competence_updates: int = option(
        0,
        "T: updates after which 'competence' keeps all items; 0: half of the run, in updates if "
        "their number is known, else in passes",
        "Platanios et al. 2019, eq. (7); value: ours",
        low=0,
    )


class EasyFirst(Strategy):
    """Sets the probability of hard items to 0 in the choices of another strategy.

    No item waits once the competence is 1, or something has failed. It has no state of its own, so
    a run may be resumed with it or without.

    Args:
        inner: the strategy that it is put around
        options: of the curriculum
        corpus: with the difficulty of the items
    """

    option_class = EasyFirstOptions

    def __init__(self, inner: Strategy, options: EasyFirstOptions, corpus: Corpus) -> None:
        super().__init__(options, corpus)
        self.inner = inner
        self._curriculum = Curriculum(
            options.competence_start,
            options.competence_updates,
            _difficulty(options, corpus),
            corpus.items.count,
            corpus.items.eligible,
        )

    @staticmethod
    def needs_around(inner: Needs, options: Any) -> Needs:
        """Needs of a strategy with `EasyFirst` around it."""
        by_share = options.competence_updates == 0
        return dataclasses.replace(
            inner,
            features=inner.features or options.competence_by == _RARITY,
            run_length=flag("competence_updates") + " 0" if by_share else inner.run_length,
            keeps_all=False,
        )

    @property
    def failed(self) -> bool:
        """Whether the strategy inside has failed."""
        return self.inner.failed

    def competence(self, point: TrainingPoint) -> float:
        """Competence c(t), in (0, 1]; 1 if something has failed."""
        return 1.0 if self.failed else self._curriculum.competence(point.update, point.share)

    def choose(self, ids: np.ndarray, point: TrainingPoint) -> Choice:
        """Let the strategy inside choose among the items that do not wait.

        While items wait none is uniform, since an easy part is no sample of the data.
        """
        competence = self.competence(point)
        choice = self.inner.choose(ids, point._replace(waiting=competence < 1.0))
        allowed = self._curriculum.allows(ids, competence)
        share = 0.0 if competence < 1.0 else choice.uniform_share
        return choice._replace(probability=choice.probability * allowed, uniform_share=share)

    def observe(self, report: Report, point: TrainingPoint) -> None:
        """Pass the report to the strategy inside."""
        self.inner.observe(report, point)

    def stop_shrinking(self) -> None:
        """Let no item wait, and let the strategy inside keep every item."""
        self.inner.stop_shrinking()

    def metrics(self, point: TrainingPoint) -> dict[str, float]:
        """Metrics of the strategy inside, and the competence c(t), in (0, 1]."""
        competence = self.competence(point)
        inside = self.inner.metrics(point._replace(waiting=competence < 1.0))
        return {**inside, METRIC: competence}

    def messages(self) -> list[Message]:
        """Messages of the strategy inside."""
        return self.inner.messages()

    def state_dict(self) -> dict[str, Any]:
        """State of the strategy inside."""
        return self.inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of the strategy inside."""
        self.inner.load_state_dict(state)


def _difficulty(options: EasyFirstOptions, corpus: Corpus) -> Callable[[], np.ndarray]:
    """Give the difficulty of each item when it is first needed.

    By length it is `Items.difficulty`, for text the tokens of the source. By rarity it is
    `FeatureSource.difficulty`, for text -sum_k log p(w_k) over these tokens (section 3).
    """
    items, features = corpus.items, corpus.features
    by_length = options.competence_by == _LENGTH
    stored = None if by_length else features
    given = items.difficulty if by_length else None

    def difficulty() -> np.ndarray:
        found = given if stored is None else stored.difficulty
        if found is None:
            place = "items" if by_length else "features"
            raise ConfigError(
                f"{flag('competence_by')} {options.competence_by} needs {place} with a difficulty, "
                "found none"
            )
        return found

    return difficulty
