"""Read the JSON log of a fairseq run (`--log-format json --log-file FILE`).

Among lines of other text the file holds one JSON object per report, all values as strings:
- training, every --log-interval updates: plain keys (`num_updates`, `nll_loss`, ...);
- validation: keys beginning `valid_`;
- the end of an epoch: keys beginning `train_`.
fairseq's own losses are in bits (base 2).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Mapping

from preprocess.text import UserError, read_lines

Values = Dict[str, float]  # metric name, without its prefix -> value
NATS_PER_BIT = math.log(2)


@dataclass
class Log:
    """Reports by kind, each in order of updates and with `num_updates` among its keys."""

    inner: list[Values] = field(default_factory=list)
    valid: list[Values] = field(default_factory=list)
    epochs: list[Values] = field(default_factory=list)

    def add(self, raw: Mapping[str, object]) -> None:
        """Add one JSON object of the log under its kind; skip one that is no report."""
        for prefix, reports in (("valid_", self.valid), ("train_", self.epochs), ("", self.inner)):
            if f"{prefix}num_updates" not in raw:
                continue
            report = numbers(raw, prefix)
            self._forget_after(report["num_updates"], reports)
            reports.append(report)
            return

    def _forget_after(self, update: float, reports: list[Values]) -> None:
        """Remove the reports that a resumed run writes again from `update` on.

        A training report of an earlier update shows a restart, which affects reports of every kind.
        """
        restarted = reports is self.inner
        for kind in (self.inner, self.valid, self.epochs) if restarted else (reports,):
            same = kind is reports
            while kind and kind[-1]["num_updates"] > update - same:
                kind.pop()

    def last(self, key: str) -> float | None:
        """Latest value of a training metric, at an epoch's end or an interval's; None if absent."""
        reports = sorted([*self.epochs, *self.inner], key=lambda report: report["num_updates"])
        for report in reversed(reports):
            if key in report:
                return float(report[key])
        return None


def numbers(raw: Mapping[str, object], prefix: str) -> Values:
    """Return the finite numbers of a report under their names without the prefix."""
    values: Values = {}
    for key, text in raw.items():
        try:
            number = float(str(text))
        except ValueError:
            continue
        if math.isfinite(number):
            values[key[len(prefix) :] if prefix and key.startswith(prefix) else key] = number
    return values


def read(path: Path) -> Log:
    """Read a log file.

    Raises:
        UserError: the file is missing, or has no training report
    """
    expected = f"expected the log of a run with `--log-format json --log-file {path}"
    if not path.is_file():
        raise UserError(f"found no {path}; {expected}`: train first")
    log = Log()
    for line in read_lines(path):
        if not line.startswith("{"):
            continue
        try:
            raw = json.loads(line)
        except ValueError:  # a line that a kill cut short
            continue
        if isinstance(raw, dict):
            log.add(raw)
    if not log.inner:
        raise UserError(
            f"{path} holds no training report; {expected} --log-interval N` and N below the number "
            f"of updates"
        )
    return log


def tokens_trained(log: Log) -> list[float]:
    """Target tokens trained on up to each training report, one number per report.

    Each report has the mean number per update since the report before (`wpb`). The plugin's
    `aa_kept_tokens` is larger: it includes kept pairs that still wait for their batch.
    """
    totals: list[float] = []
    total = update = 0.0
    for report in log.inner:
        total += report.get("wpb", 0.0) * (report["num_updates"] - update)
        update = report["num_updates"]
        totals.append(total)
    return totals
