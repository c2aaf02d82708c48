"""Metrics of a run: sums over micro-batches and ranks, and their logged values."""

import math

import numpy as np
import pytest
from fairseq.logging import metrics as fairseqs

from fairseq_autoassist.core.batching import KEPT
from fairseq_autoassist.core.protocol import PlannedBatch, Totals
from fairseq_autoassist.plugin import metrics


def sums(rank, uniform_loss, uniform_tokens):
    """Sums that a rank's micro-batch adds; pairs and tokens differ by rank."""
    totals = Totals(100 + rank, 60, 1000 + 200 * rank, 700, batches=9, batched=55)
    batch = PlannedBatch(
        8, np.empty(0, KEPT), totals, (1, 0), 1.0 + rank, 0.5 + 0.2 * rank, {"acc": 0.6 + rank / 5}
    )
    elsewhere = Totals(considered=1000, kept=400, considered_cost=10_000, kept_cost=4000)
    slice_ = {"aa_uniform_loss": uniform_loss, "aa_uniform_tokens": uniform_tokens}
    return {**metrics.step_sums(batch, 2.0 + rank, elsewhere, ["acc"]), **slice_}


def logged(outputs, world_size):
    with fairseqs.aggregate(new_root=True) as found:
        metrics.log(outputs, world_size, ["acc"])
    return found.get_smoothed_values()


def test_counts_are_summed_over_ranks_and_the_rest_are_means():
    # rank 0 has two micro-batches in the update, and a third is a dummy
    outputs = [sums(0, 30.0, 10), sums(0, 6.0, 2), sums(1, 24.0, 8), sums(1, 0.0, 0)]
    outputs.append(metrics.step_sums(None, 9.0, Totals(), ["acc"]))
    found = logged(outputs, 2)
    assert found["aa_considered"] == 2 * 1000 + 100 + 101  # of all data-bins
    assert found["aa_kept"] == 2 * (400 + 60)
    assert found["aa_considered_tokens"] == 2 * 10_000 + 1000 + 1200
    assert found["aa_kept_tokens"] == 2 * (4000 + 700)
    assert found["aa_saved"] == pytest.approx(1 - 9400 / 22_200, abs=1e-3)
    assert found["aa_keep"] == 0.6 and found["aa_pass"] == 1.5 and found["aa_wait"] == 2.5
    assert found["aa_acc"] == 0.7
    assert found["aa_loss"] == 60.0 / 20  # nats per token


def test_without_a_planned_batch_or_a_uniform_sample_nothing_is_logged():
    assert not logged([metrics.step_sums(None, 9.0, Totals(), ["acc"])], 1)  # a dummy
    assert not logged([{"loss": 1.0}], 1)  # validation
    found = logged([sums(0, 0.0, 0)], 1)
    assert "aa_loss" not in found and not any(map(math.isnan, found.values()))
