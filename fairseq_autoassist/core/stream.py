"""The endless stream of considered items, with the coin of each.

Random numbers come from coordinates (`coordinates.py`), so a position alone gives the same stream
again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .batching import BatchLimits
from .coordinates import batch_order, pass_coins, pass_order
from .dealing import Dealer
from .lineage import (
    Earlier,
    Generation,
    Position,
    earlier_of,
    limits_of,
    lineage_of,
    saved_limits,
    saved_lineage,
)

_PART = 1 << 18  # items converted at once
_REPEAT = 1 << 40  # passes added to the coordinates for each repetition of the same data


class Stream:
    """Pass after pass over one rank's share of the items.

    Args:
        count: number of items in the data set; ids are 0 .. count - 1
        seed: of the run
        eligible: ids to consider (integers, ascending); None: all
        rank, world_size: this rank takes every world_size-th item of each pass
        repeat: how often the same data came before in the list of data sets
        dealer: cuts the items of a pass into batches; None: the corpus is too large for that
        whole: whether ranks take these batches in place of single items

    Raises:
        ValueError: this rank would have no item to consider
    """

    def __init__(
        self,
        count: int,
        seed: int,
        eligible: np.ndarray | None = None,
        rank: int = 0,
        world_size: int = 1,
        repeat: int = 0,
        dealer: Dealer | None = None,
        whole: bool = False,
    ) -> None:
        self.count = count
        self.seed = seed
        self._repeat = repeat
        self.rank, self.world_size = rank, world_size
        self._eligible = count if eligible is None else len(eligible)
        # a bit an item: ids would take as much memory as the order of a pass
        self._mask: np.ndarray | None = None
        if eligible is not None:
            mask = np.zeros(count, dtype=bool)
            mask[eligible] = True
            self._mask = np.packbits(mask)
        if self._eligible < world_size:
            raise ValueError(f"{self._eligible} items for {world_size} ranks: some would have none")
        self._lineage: tuple[Generation, ...] = ()
        self._pass, self._next = 0, 0
        self._cached_pass = -1
        self._order = self._coins = self._ends = np.empty(0, dtype=np.int64)
        self._dealer = dealer
        self._own = dealer.limits if whole and dealer is not None else None
        self._dealt = self._own  # limits under which passes are dealt; None: by single items
        self._earlier: tuple[Earlier, ...] = ()
        # a rank with most of the items keeps all coins, another one only its own
        self._coins_by_id = 2 * self.items_per_pass > count

    @property
    def items_per_pass(self) -> int:
        """Items that this rank considers in a pass; with several ranks sometimes one fewer."""
        return -(-self._eligible // self.world_size)

    @property
    def mean_per_pass(self) -> float:
        """Mean number of items that this rank considers in a pass."""
        return self._eligible / self.world_size

    @property
    def position(self) -> Position:
        """Position: the pass, and the index in it of the next item to consider."""
        return self._pass, self._next

    @property
    def passes(self) -> float:
        """Position as a fractional number of passes."""
        begun = any(self._pass <= g.last_pass for g in self._lineage)  # by other ranks
        if self._next == 0 and not begun:
            return float(self._pass)
        self._prepare()
        return (
            self._pass
            + 1
            - (len(self._order) - self._next) / max(self.items_per_pass, len(self._order))
        )

    def take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Take the next items, at most ``count``, never beyond the end of the pass.

        Returns:
            ids (int64, shape (n,)) and their coins (float32 in [0, 1), shape (n,)), n >= 1
        """
        self._prepare()
        part = slice(self._next, self._next + count)
        ids = self._order[part].astype(np.int64)
        coins = self._coins[ids] if self._coins_by_id else self._coins[part]
        self._next += len(ids)
        if self._next == len(self._order):
            self._pass, self._next = self._pass + 1, 0
        return ids, coins

    def batch_order(self, count: int) -> np.ndarray:
        """Random order of batches of the current pass: a permutation of ``range(count)``."""
        return self._batch_order(self._pass, count)

    def last_dealt(self, limits: BatchLimits) -> tuple[np.ndarray, np.ndarray]:
        """This rank's items of the last pass, and where its batches under these limits end.

        There are no ends where the pass was not dealt out in such batches.
        """
        known = self._limits_of(self._cached_pass) == limits
        return self._order, self._ends if known else self._ends[:0]

    def seek(self, position: Position) -> None:
        """Set the position; the stream goes on from there as it would have."""
        self._pass, self._next = int(position[0]), int(position[1])

    def state_dict(self) -> dict[str, Any]:
        """Position, and the settings that give it its meaning, as plain Python."""
        return {
            "position": list(self.position),
            "lineage": saved_lineage(self._lineage),
            "items": self.count,
            "eligible": self._eligible,
            "seed": self.seed,
            "rank": self.rank,
            "world_size": self.world_size,
            "repeat": self._repeat,
            "dealt": saved_limits(self._dealt),
            "dealt earlier": [[last, saved_limits(limits)] for last, limits in self._earlier],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set a saved position; passes are dealt out under the saved limits.

        Those after the last pass of `under_other_limits` are dealt out under this stream's own.

        Raises:
            ValueError: data, seed or ranks are others than those it was saved with
        """
        mine = self.state_dict()
        for key in ("items", "eligible", "seed", "rank", "world_size"):
            if state[key] != mine[key]:
                raise ValueError(f"saved with {key} {state[key]}, this run has {key} {mine[key]}")
        self._repeat = state["repeat"]
        dealt = limits_of(state["dealt"]) if "dealt" in state else self._own
        self._dealt = None if self._dealer is None else dealt
        self._earlier = earlier_of(state)
        self._lineage = lineage_of(state)
        self._cached_pass = -1
        self.seek(state["position"])

    def _prepare(self) -> None:
        """Make order and coins of the current pass, the next one with items of this rank."""
        while self._cached_pass != self._pass:
            # free the old pass first, which lowers the peak of memory
            self._order = self._coins = self._ends = np.empty(0, dtype=np.int64)
            items = self._dealt_out(self._pass, len(self._lineage))
            order, ends = self._share(items, self._pass, self.rank, self.world_size)
            del items
            if self._next >= len(order):
                self._pass, self._next = self._pass + 1, 0
                continue
            coins = pass_coins(self.seed, self._pass + _REPEAT * self._repeat, self.count)
            self._order, self._ends = order, ends
            self._coins = coins if self._coins_by_id else coins[order]
            self._cached_pass = self._pass

    def _dealt_out(self, number: int, generation: int) -> np.ndarray:
        """Items of a pass that a generation of ranks deals out among them.

        The first generation deals the whole pass, a later one what is left of it.
        """
        if not any(number <= g.last_pass for g in self._lineage[:generation]):
            items = pass_order(self.seed, number + _REPEAT * self._repeat, self._eligible)
            if self._mask is None:
                return items
            return _nth_of(self._mask, self._eligible, items)
        world_size, positions = self._lineage[generation - 1]
        before = self._dealt_out(number, generation - 1)
        return np.concatenate(
            [
                _left(self._share(before, number, rank, world_size)[0], number, at)
                for rank, at in enumerate(positions)
            ]
        )

    def _share(
        self, items: np.ndarray, number: int, rank: int, world_size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A rank's share of a pass, and where its batches end, if it is dealt in batches.

        Shares rotate from pass to pass, so that no rank always has an item more.
        """
        first = (rank + number) % world_size
        limits = self._limits_of(number)
        if limits is None or self._dealer is None:
            # copied, so that it does not hold on to the whole
            share = items if world_size == 1 else items[first::world_size].copy()
            return share, np.empty(0, dtype=np.int64)
        batches = self._dealer.under(limits).batches(items, world_size)
        chosen = self._batch_order(number, len(batches))[first::world_size].tolist()
        mine = [batches[index] for index in chosen]
        order = np.concatenate([np.empty(0, dtype=np.int64), *mine])
        return items[order], np.cumsum([len(batch) for batch in mine], dtype=np.int64)

    def _limits_of(self, number: int) -> BatchLimits | None:
        """Limits of the batches that a pass is dealt out in; None: in single items."""
        for last_pass, limits in self._earlier:
            if number <= last_pass:
                return limits
        return self._dealt

    def _batch_order(self, number: int, count: int) -> np.ndarray:
        return batch_order(self.seed, number + _REPEAT * self._repeat, count)


def _nth_of(mask: np.ndarray, count: int, order: np.ndarray) -> np.ndarray:
    """Replace ranks among the ids whose bit is set by these ids.

    They replace the ranks in ``order`` itself, except where ids of 4 bytes become 8 bytes. It works
    in parts, because numpy converts an index to 8 bytes an item.
    """
    if 8 * len(mask) > 2**31:  # ids go beyond the number of those whose bit is set
        order = order.astype(np.int64)
    ids = np.empty(count, dtype=order.dtype)
    done = 0
    for start in range(0, len(mask), _PART // 8):
        found = np.flatnonzero(np.unpackbits(mask[start : start + _PART // 8])) + 8 * start
        ids[done : done + len(found)] = found
        done += len(found)
    for start in range(0, count, _PART):
        part = slice(start, start + _PART)
        order[part] = ids[order[part]]
    return order


def _left(order: np.ndarray, number: int, position: Position) -> np.ndarray:
    """Rest of a rank's share of a pass that it had not considered at ``position``."""
    if number < position[0]:
        return order[:0]
    return order[position[1] :] if number == position[0] else order
