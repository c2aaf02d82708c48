"""The numbers of a run, through fairseq's metrics: to progress bar, log, TensorBoard and W&B.

A training step adds sums to its logging output, so that fairseq can add them up over micro-batches
and ranks; `log` turns the sums into metrics. All losses here are in nats.
"""

from __future__ import annotations

from typing import Any

from fairseq.logging import metrics

from ..core.plan import PlannedBatch, Totals

_TOTALS = ("considered", "kept", "considered_tokens", "kept_tokens")
_AVERAGED = ("T", "gamma", "acc", "majority")
_OWN = tuple("aa_" + name for name in ("batches", "keep", "pass", "wait", *_TOTALS, *_AVERAGED))
_SLICE = ("aa_uniform_loss", "aa_uniform_tokens")


def step_sums(batch: PlannedBatch | None, waited: float, elsewhere: Totals) -> dict[str, float]:
    """What a micro-batch adds to the logging output.

    Args:
        batch: the plan; None for a dummy batch, which adds nothing (but has the same keys, since
            all ranks must agree on them)
        waited: seconds waited for the Assistant so far, on this rank
        elsewhere: counts of this rank in other data-bins
    """
    sums = dict.fromkeys(_OWN + _SLICE, 0.0)
    if batch is None:
        return sums
    sums["aa_batches"] = 1.0
    sums["aa_keep"] = batch.keep_rate
    sums["aa_pass"] = batch.passes
    sums["aa_wait"] = waited
    for name in _TOTALS:
        sums["aa_" + name] = float(getattr(batch.totals, name) + getattr(elsewhere, name))
    for name in _AVERAGED:
        sums["aa_" + name] = float(batch.metrics.get(name, 0.0))
    return sums


def log(logging_outputs: list[dict[str, Any]], world_size: int) -> None:
    """Log the metrics of an update; nothing in validation, where there are none.

    Args:
        logging_outputs: of fairseq, of any number of micro-batches and ranks
        world_size: data-parallel ranks
    """
    batches = _sum(logging_outputs, "aa_batches")
    if not batches:
        return
    mean = {name: _sum(logging_outputs, name) / batches for name in _OWN}
    metrics.log_scalar("aa_keep", mean["aa_keep"], weight=0, round=3, priority=300)
    considered, kept = mean["aa_considered_tokens"], mean["aa_kept_tokens"]
    saved = 1.0 - kept / considered if considered else 0.0
    metrics.log_scalar("aa_saved", saved, weight=0, round=3, priority=301)
    metrics.log_scalar("aa_pass", mean["aa_pass"], weight=0, round=4, priority=302)
    if mean["aa_majority"]:  # the strategy has an Assistant
        for name in _AVERAGED:
            metrics.log_scalar("aa_" + name, mean["aa_" + name], weight=0, round=3, priority=303)
    for name in _TOTALS:
        # every rank logs its own count of the run; the mean times the ranks is the sum
        metrics.log_scalar("aa_" + name, mean["aa_" + name] * world_size, weight=0, priority=310)
    metrics.log_scalar("aa_wait", mean["aa_wait"], weight=0, round=2, priority=311)
    tokens = _sum(logging_outputs, "aa_uniform_tokens")
    if tokens:
        loss = _sum(logging_outputs, "aa_uniform_loss") / tokens
        metrics.log_scalar("aa_loss", loss, weight=tokens, round=3, priority=304)


def _sum(logging_outputs: list[dict[str, Any]], name: str) -> float:
    total = sum(output.get(name, 0) for output in logging_outputs)
    return float(total)
