"""Last known loss of every item, two bytes an item.

Each rank remembers the losses of its own reports. Items change ranks from pass to pass, so one of p
ranks knows about a share 1/p of the newest losses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Quantiles are taken of at most so many items, evenly spaced by id.
_SAMPLE = 100_000
_MOST = float(np.finfo(np.float16).max)


def refuse_other_items(saved: np.ndarray, own: np.ndarray) -> None:
    """Refuse what was saved of another number of items.

    Args:
        saved, own: a value for each item

    Raises:
        ValueError: they differ in shape
    """
    if saved.shape != own.shape:
        raise ValueError(
            f"the saved state remembers losses of {saved.size} items, the data has {own.size}: it "
            "was saved with other data"
        )


class LossMemory:
    """Last known loss by item id.

    Args:
        count: number of items; ids are 0 .. count - 1
    """

    def __init__(self, count: int) -> None:
        self._losses = np.full(count, np.nan, dtype=np.float16)
        self._sum, self.known = 0.0, 0

    @property
    def mean(self) -> float:
        """Mean of the known losses; NaN while there is none."""
        return self._sum / self.known if self.known else float("nan")

    def of(self, ids: np.ndarray) -> np.ndarray:
        """Last known losses, float32, shape of ``ids``; NaN for an item not seen yet."""
        return self._losses[ids].astype(np.float32)

    def record(self, ids: np.ndarray, losses: np.ndarray) -> None:
        """Remember finite losses, shape (n,); of an id that comes twice, the first.

        It costs time in the report, not in the number of items.
        """
        ids, first = np.unique(ids, return_index=True)
        before = self._losses[ids].astype(np.float64)
        # a loss beyond float16 is stored as its largest or smallest number
        now = np.clip(losses[first], -_MOST, _MOST).astype(np.float16)
        self._losses[ids] = now
        self._sum += float(now.sum(dtype=np.float64) - np.nansum(before))
        self.known += int(np.isnan(before).sum())

    def quantile(self, share: float) -> float:
        """Quantile of the known losses at a share in [0, 1]; NaN while there is none."""
        sample = self._losses[:: max(1, len(self._losses) // _SAMPLE)]
        sample = sample[~np.isnan(sample)]
        return float(np.quantile(sample.astype(np.float32), share)) if len(sample) else float("nan")

    def state_dict(self) -> dict[str, Any]:
        """Copy the losses (float16, shape (count,)), their sum and number."""
        return {"losses": self._losses.copy(), "sum": self._sum, "known": self.known}

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Take over a saved state; None: forget everything.

        Raises:
            ValueError: the state has losses of another number of items
        """
        if state is None:
            self._losses[:] = np.nan
            self._sum, self.known = 0.0, 0
            return
        losses = np.asarray(state["losses"], dtype=np.float16)
        refuse_other_items(losses, self._losses)
        self._losses[:] = losses
        self._sum, self.known = float(state["sum"]), int(state["known"])

    @staticmethod
    def merge(states: list[dict[str, Any]]) -> dict[str, Any]:
        """Mean of the losses that several ranks remember, item by item."""
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
