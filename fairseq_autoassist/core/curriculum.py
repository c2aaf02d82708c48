"""Easy items first: the items that a model of some competence may train on (Platanios et al. 2019).

The difficulty of an item is the share of items that are easier. An item may be trained on once its
difficulty is at most the competence c(t) of the model, which grows as the square root of time
(eq. 7 with p = 2):

    c(t) = min(1, sqrt(t (1 - c_0^2) / T + c_0^2))

t counts updates, as in the paper. Where only the number of passes ends a run, T counts passes. The
early passes have few items and are short, so c is 1 well before half of the updates.
"""

from __future__ import annotations

import math
from typing import Callable

import numpy as np

_STEPS = 2**16 - 1  # a share takes two bytes


class Curriculum:
    """Decides which items are easy enough.

    Args:
        start: c_0, in (0, 1]
        updates: T; 0: half of the run
        difficulty: gives a number for each item, shape (count,); called when first needed
        count: number of items
        eligible: ids that may be trained on (integers, ascending); None: all
    """

    def __init__(
        self,
        start: float,
        updates: int,
        difficulty: Callable[[], np.ndarray],
        count: int,
        eligible: np.ndarray | None,
    ) -> None:
        self._start, self._updates = start, updates
        self._difficulty = difficulty
        self._barred: np.ndarray | None = None  # a byte an item; ids would take eight
        if eligible is not None:
            self._barred = np.ones(count, dtype=bool)
            self._barred[eligible] = False
        self._easier: np.ndarray | None = None  # made when it is first needed

    def competence(self, update: float, share: float) -> float:
        """Competence c(t), in (0, 1], at an update, when ``share`` of the run is over."""
        grown = update / self._updates if self._updates else 2.0 * share
        return min(1.0, math.sqrt(grown * (1.0 - self._start**2) + self._start**2))

    def allows(self, ids: np.ndarray, competence: float) -> np.ndarray:
        """Tell which items are no harder than a competence allows: bool, shape of ``ids``."""
        if competence >= 1.0:
            self._easier = None  # not needed again
            return np.ones(len(ids), dtype=bool)
        if self._easier is None:
            self._easier = self._rank()
        return self._easier[ids] <= competence * _STEPS

    def _rank(self) -> np.ndarray:
        """Share of the eligible items that are easier than each item.

        Returns:
            uint16, shape (count,), in steps of 1 / 65535
        """
        difficulty = self._difficulty()
        count = len(difficulty)
        if self._barred is not None:  # sorted behind all others, then left out
            difficulty = difficulty.astype(np.float32)
            difficulty[self._barred] = np.inf
            count -= int(self._barred.sum())
        # ties are broken by id, so that the allowed part grows evenly
        order = np.argsort(difficulty, kind="stable")[:count]
        easier = np.zeros(len(difficulty), dtype=np.uint16)
        easier[order] = np.linspace(0, _STEPS, len(order)).astype(np.uint16)
        return easier
