"""Metrics of a run, which go through fairseq's to progress bar, log, TensorBoard and W&B.

A training step puts sums into its logging output, which fairseq adds up over micro-batches and
ranks. `log` turns them into metrics. All losses here are in nats.
"""

from __future__ import annotations

from typing import Any, Sequence

from fairseq.logging import metrics

from ..core.protocol import PlannedBatch, Totals

_TOTALS = {  # name of the metric: of the count in `Totals`
    "considered": "considered",
    "kept": "kept",
    "considered_tokens": "considered_cost",
    "kept_tokens": "kept_cost",
}
_STREAM = ("batches", "keep", "pass", "wait", *_TOTALS)
_SLICE = ("uniform_loss", "uniform_tokens")


def step_sums(
    batch: PlannedBatch | None, waited: float, elsewhere: Totals, names: Sequence[str]
) -> dict[str, float]:
    """Sums that a micro-batch adds to the logging output.

    Args:
        batch: the plan; None for a dummy batch, whose sums are 0 under the same keys
        waited: seconds waited for the Assistant so far, on this rank
        elsewhere: counts of this rank in other data-bins
        names: the strategy's metrics
    """
    sums = dict.fromkeys((*_STREAM, *_SLICE, *names), 0.0)
    if batch is not None:
        sums.update(batches=1.0, keep=batch.keep_rate, wait=waited)
        sums["pass"] = batch.passes
        for name, count in _TOTALS.items():
            sums[name] = float(getattr(batch.totals, count) + getattr(elsewhere, count))
        # a batch planned before a checkpoint, under other flags, may lack a metric
        sums.update({name: float(batch.metrics.get(name, 0.0)) for name in names})
    return {"aa_" + name: value for name, value in sums.items()}


def log(logging_outputs: list[dict[str, Any]], world_size: int, names: Sequence[str]) -> None:
    """Log the metrics of an update; in validation there are none.

    Args:
        logging_outputs: of any number of micro-batches and ranks
        world_size: data-parallel ranks
        names: the strategy's metrics
    """
    batches = _sum(logging_outputs, "batches")
    if not batches:
        return
    mean = {name: _sum(logging_outputs, name) / batches for name in (*_STREAM, *names)}
    _log("keep", mean["keep"], 3, 300)
    considered = mean["considered_tokens"]
    _log("saved", 1.0 - mean["kept_tokens"] / considered if considered else 0.0, 3, 301)
    _log("pass", mean["pass"], 4, 302)
    for name in names:
        _log(name, mean[name], 3, 303)
    for name in _TOTALS:
        # every rank logs its own count of the run: the mean times the ranks is the sum
        _log(name, mean[name] * world_size, 0, 310)
    _log("wait", mean["wait"], 2, 311)
    tokens = _sum(logging_outputs, "uniform_tokens")
    if tokens:
        loss = _sum(logging_outputs, "uniform_loss") / tokens
        metrics.log_scalar("aa_loss", loss, weight=tokens, round=3, priority=304)


def _log(name: str, value: float, digits: int, priority: int) -> None:
    # with weight 0 the last value stands, also for an epoch
    metrics.log_scalar("aa_" + name, value, weight=0, round=digits, priority=priority)


def _sum(logging_outputs: list[dict[str, Any]], name: str) -> float:
    return float(sum(output.get("aa_" + name, 0) for output in logging_outputs))
