"""The last known loss of every pair, two bytes a pair.

With p ranks each remembers what it was told itself; pairs change ranks from pass to pass, so a rank
knows about a share 1/p of the newest losses. Nothing is sent between ranks for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Quantiles are read off at most so many known losses, evenly spaced by id.
_SAMPLE = 100_000


class LossMemory:
    """Last known loss by pair id.

    Args:
        pairs: number of pairs; ids are 0 .. pairs - 1
    """

    def __init__(self, pairs: int) -> None:
        self._losses = np.full(pairs, np.nan, dtype=np.float16)
        self._sum, self.known = 0.0, 0

    @property
    def mean(self) -> float:
        """Mean of the known losses; NaN while there is none."""
        return self._sum / self.known if self.known else float("nan")

    def of(self, ids: np.ndarray) -> np.ndarray:
        """Last known losses, float32, shape of ``ids``; NaN for a pair not seen yet."""
        return self._losses[ids].astype(np.float32)

    def record(self, ids: np.ndarray, losses: np.ndarray) -> None:
        """Remember finite losses, shape (n,); where an id comes twice, one of its losses.

        Costs time in the report, not in the number of pairs.
        """
        ids, first = np.unique(ids, return_index=True)
        before = self._losses[ids].astype(np.float64)
        # beyond float16 a loss is as good as its largest number
        now = np.minimum(losses[first], np.finfo(np.float16).max).astype(np.float16)
        self._losses[ids] = now
        self._sum += float(now.sum(dtype=np.float64) - np.nansum(before))
        self.known += int(np.isnan(before).sum())

    def quantile(self, share: float) -> float:
        """The loss that a share in [0, 1] of the known losses does not exceed; NaN: none known."""
        sample = self._losses[:: max(1, len(self._losses) // _SAMPLE)]
        sample = sample[~np.isnan(sample)]
        return float(np.quantile(sample.astype(np.float32), share)) if len(sample) else float("nan")

    def state_dict(self) -> dict[str, Any]:
        """A copy of the losses (float16, shape (pairs,)), their sum and number."""
        return {"losses": self._losses.copy(), "sum": self._sum, "known": self.known}

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Take over a saved state; None: forget everything.

        Raises:
            ValueError: it remembers another number of pairs
        """
        if state is None:
            self._losses[:] = np.nan
            self._sum, self.known = 0.0, 0
            return
        losses = np.asarray(state["losses"], dtype=np.float16)
        if losses.shape != self._losses.shape:
            raise ValueError(
                f"the saved state remembers losses of {losses.size} pairs, the data has "
                f"{self._losses.size}: it was saved with other data"
            )
        self._losses[:] = losses
        self._sum, self.known = float(state["sum"]), int(state["known"])

    @staticmethod
    def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
        """What any of several ranks remembers: the mean where several do."""
        total = np.zeros(len(states[0]["losses"]), dtype=np.float32)
        times = np.zeros(len(total), dtype=np.int16)
        for state in states:
            known = ~np.isnan(state["losses"])
            total[known] += state["losses"][known]
            times += known
        with np.errstate(invalid="ignore"):
            losses = (total / times).astype(np.float16)
        return {
            "losses": losses,
            "sum": float(np.nansum(losses, dtype=np.float64)),
            "known": int((times > 0).sum()),
        }
