"""The endless stream of considered pairs, and the coin that decides about each.

Randomness comes from coordinates, never from history: pass p is a permutation keyed by (seed, p),
and the coin of a pair is the number that a counter-based generator (Philox) keyed by (seed, p)
gives at the pair's own counter. Nothing has to be stored to get the same stream again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_ORDER, _COIN = 0, 1  # two streams of random numbers to a pass


def _generator(seed: int, pass_number: int, purpose: int) -> np.random.Generator:
    key = np.array([seed % 2**64, 2 * pass_number + purpose], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def pass_order(seed: int, pass_number: int, pairs: int) -> np.ndarray:
    """The order of a pass: a permutation of ``range(pairs)``, int32 (int64 from 2**31 pairs)."""
    order = np.arange(pairs, dtype=np.int32 if pairs < 2**31 else np.int64)
    _generator(seed, pass_number, _ORDER).shuffle(order)
    return order


def pass_coins(seed: int, pass_number: int, pairs: int) -> np.ndarray:
    """The coins of a pass, float32 in [0, 1), shape (pairs,).

    Element i depends on (seed, pass, i) alone: it is the i-th output of a counter-based generator.
    """
    return _generator(seed, pass_number, _COIN).random(pairs, dtype=np.float32)


class Stream:
    """Pass after pass over one rank's share of the pairs.

    Args:
        pairs: number of pairs in the data set; ids are 0 .. pairs - 1
        seed: of the run
        eligible: ids to consider (int64, ascending), or None for all; others never come up
        rank, world_size: this rank takes every world_size-th pair of each pass

    Raises:
        ValueError: this rank would have no pair to consider
    """

    def __init__(
        self,
        pairs: int,
        seed: int,
        eligible: np.ndarray | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.pairs = pairs
        self.seed = seed
        self.rank, self.world_size = rank, world_size
        self._eligible: np.ndarray | None = (
            None if eligible is None else eligible.astype(_id_type(pairs))
        )
        self._count = pairs if eligible is None else len(eligible)
        if self._count < world_size:
            raise ValueError(f"{self._count} pairs for {world_size} ranks: some would have none")
        self._pass, self._next = 0, 0
        self._cached_pass = -1
        self._order = self._coins = np.empty(0)

    @property
    def pairs_per_pass(self) -> int:
        """Pairs this rank considers in a pass (in some passes of several ranks: one fewer)."""
        return -(-self._count // self.world_size)

    @property
    def position(self) -> tuple[int, int]:
        """(pass, index in the pass of the next pair to consider)."""
        return self._pass, self._next

    @property
    def passes(self) -> float:
        """The position as a fractional number of passes."""
        return self._pass + self._next / self.pairs_per_pass

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The next pairs, at most ``count``, never beyond the end of the pass.

        Returns:
            ids (int64, shape (n,)) and their coins (float32 in [0, 1), shape (n,)), n >= 1
        """
        self._prepare()
        ids = self._order[self._next : self._next + count].astype(np.int64)
        self._next += len(ids)
        coins = self._coins[ids]
        if self._next == len(self._order):
            self._pass, self._next = self._pass + 1, 0
        return ids, coins

    def seek(self, position: tuple[int, int]) -> None:
        """Go to a position; from there the stream is as it would have been."""
        self._pass, self._next = int(position[0]), int(position[1])

    def state_dict(self) -> dict[str, Any]:
        """Position and what it counts in: plain Python."""
        return {
            "position": list(self.position),
            "pairs": self.pairs,
            "eligible": self._count,
            "seed": self.seed,
            "rank": self.rank,
            "world_size": self.world_size,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a saved position.

        Raises:
            ValueError: the position was counted in another stream (data, seed or ranks differ)
        """
        mine = self.state_dict()
        for key in ("pairs", "eligible", "seed", "rank", "world_size"):
            if state[key] != mine[key]:
                raise ValueError(f"saved with {key} {state[key]}, this run has {key} {mine[key]}")
        self.seek(state["position"])

    def _prepare(self) -> None:
        if self._cached_pass == self._pass:
            return
        # free the old pass before the new one is made: the peak is what memory is planned by
        self._order = self._coins = np.empty(0)
        order = pass_order(self.seed, self._pass, self._count)
        # the slice moves on with the pass, so that no rank is always the one with a pair more
        order = order[(self.rank + self._pass) % self.world_size :: self.world_size]
        self._order = order if self._eligible is None else self._eligible[order]
        self._coins = pass_coins(self.seed, self._pass, self.pairs)
        self._cached_pass = self._pass


def _id_type(pairs: int) -> type:
    return np.int32 if pairs < 2**31 else np.int64
