"""The control: as many pairs as another strategy keeps, but any.

What a strategy gains over this one at equal tokens, it gains by choosing.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ...config import AutoAssistConfig, flag
from ...errors import ConfigError
from .base import Corpus, Strategy

_NEEDED = {"num_updates", "aa_considered", "aa_kept"}  # in a line of the log
_RECORDED = ("updates", "rates")  # in a saved state


class Random(Strategy):
    """Keeps a share of the pairs at random: a given one, or that of a recorded run over time.

    Every pair that it keeps is a uniform sample of the data.

    Raises:
        ConfigError: (from any method) the recorded run cannot be read, and no saved state has its
            rates
    """

    uses_prior = False
    settings = ("keep", "keep_from")

    def __init__(self, config: AutoAssistConfig, corpus: Corpus) -> None:
        super().__init__(config, corpus)
        self._rates: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def keeps_all(cls, config: AutoAssistConfig) -> bool:
        """With a share of 1, and no recorded run."""
        return config.keep >= 1.0 and not config.keep_from

    @property
    def _recorded(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Of the recorded run, if one is followed: read when it is first needed, so that a state
        can be loaded where the log is gone."""
        if self._rates is None and self.config.keep_from:
            self._rates = recorded_keep_rate(self.config.keep_from)
        return self._rates

    @classmethod
    def check(cls, config: AutoAssistConfig, state: dict[str, Any] | None = None) -> None:
        """The recorded run can be read, where no saved state has its rates.

        Raises:
            ConfigError: it cannot
        """
        if config.keep_from and not state:
            recorded_keep_rate(config.keep_from)

    @property
    def uniform_share(self) -> float:
        """The share of pairs kept now; all while a recorded run's update is not known."""
        if self.stopped:
            return 1.0
        recorded = self._recorded
        if recorded is None:
            return self.config.keep
        if math.isinf(self.moment.update):
            return 1.0
        updates, rates = recorded
        at = int(np.searchsorted(updates, self.moment.update, side="left"))
        return float(rates[min(at, len(rates) - 1)])

    def keep_probability(self, ids: np.ndarray) -> np.ndarray:
        """The same for all pairs."""
        return np.full(len(ids), self.uniform_share, dtype=np.float32)

    def state_dict(self) -> dict[str, Any]:
        """The recorded rates: the log may have grown, or be of another run, after a restart."""
        recorded = self._rates if self.stopped else self._recorded
        return {} if recorded is None else dict(zip(_RECORDED, recorded))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        if self.config.keep_from and state:  # none in older checkpoints
            self._rates = state[_RECORDED[0]], state[_RECORDED[1]]


def recorded_keep_rate(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Share of pairs kept over time, from the JSON log of a run (``--log-format json --log-file``).

    Returns:
        updates at which the run was logged, ascending, shape (n,), and the share kept between each
        and the one before it, in [0.01, 1] (0 would never end), shape (n,)

    Raises:
        ConfigError: the file cannot be read, or holds no such record
    """
    points = {0.0: (0.0, 0.0)}
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"{flag('keep-from')} {path}: {error.strerror or error}") from error
    for line in lines:
        record = _record(line)
        if _NEEDED <= set(record):
            point = float(record["aa_considered"]), float(record["aa_kept"])
            points[float(record["num_updates"])] = point
    updates = np.array(sorted(points))
    considered, kept = np.array([points[update] for update in updates]).T
    moved = _far_enough_apart(considered)
    if not len(moved):
        raise ConfigError(
            f"{flag('keep-from')} {path} has no line with num_updates, aa_considered and aa_kept, "
            "expected the log of a run of this plugin with --log-format json --log-file FILE "
            "--log-interval N and N below its number of updates"
        )
    before = np.concatenate([[0], moved[:-1]])
    rates = (kept[moved] - kept[before]) / (considered[moved] - considered[before])
    return updates[moved], np.clip(rates, 0.01, 1.0)


def _far_enough_apart(considered: np.ndarray) -> np.ndarray:
    """Which points to take rates between: the log prints six digits, so that above a million the
    difference of two neighbours may be all rounding. Ascending indices above 0; none moved: none.
    """
    chosen, last = [], 0
    for i in range(1, len(considered)):
        digits = max(0, int(np.log10(max(considered[i], 1.0))) - 5)
        if considered[i] - considered[last] >= (1000 * 10**digits if digits else 1):
            chosen.append(i)
            last = i
    end = int(np.argmax(considered))
    if not chosen and considered[end] > 0:
        chosen = [end]
    return np.array(chosen, dtype=np.int64)


def _record(line: str) -> dict[str, str]:
    if not line.startswith("{"):
        return {}
    try:
        record = json.loads(line)
    except ValueError:  # the line a kill cut short
        return {}
    return record if isinstance(record, dict) else {}
