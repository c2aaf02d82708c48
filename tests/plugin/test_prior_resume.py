"""Epoch length under a prior, and resume from a checkpoint under another prior."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.prior import Prior
from fairseq_autoassist.core.progress import Progress
from fairseq_autoassist.core.protocol import Totals
from fairseq_autoassist.errors import AutoAssistError
from fairseq_autoassist.plugin.checkpoints import check_state, state_header
from fairseq_autoassist.plugin.epochs import epoch_length
from fairseq_autoassist.plugin.ranks import Ranks
from fairseq_autoassist.plugin.shards import Shards
from tests.support.planning import make_spec
from tests.support.strategies import prior_of, spec_of, train


def test_the_first_epoch_is_about_a_pass_of_what_the_prior_lets_through() -> None:
    plain = make_spec(20_000, strategy="prior")
    values = np.where(np.arange(20_000) % 10 < 3, 1.0, 0.001).astype(np.float32)
    spec = dataclasses.replace(plain, prior=Prior(values, 0.001))
    shards = Shards()
    length = epoch_length(spec, None, 1, shards.keep_rate(spec))
    assert length == pytest.approx(0.3 * epoch_length(plain, None, 1), rel=0.02)
    batches = train(Planner(spec), length)
    assert batches[-1].passes == pytest.approx(1.0, abs=0.15)  # as without a prior
    # the next data-bin begins with the same share of what its own prior lets through
    progress = Progress(1.0, 0.5 * spec.mean_prior, Totals())
    shards.own({"trained": 1}, progress, spec)
    shards.current = 1
    assert shards.keep_rate(plain) == pytest.approx(0.5)
    assert shards.keep_rate(spec) == pytest.approx(0.5 * spec.mean_prior)


def saved_under(prior: Prior | None) -> tuple[dict, list[list[int]], object]:
    """Checkpoint of a run under a prior, the batches after it, and the specification."""
    spec = dataclasses.replace(spec_of("spl"), prior=prior)
    planner, shards = Planner(spec), Shards()
    batch = train(planner, 30)[-1]
    state = {"trained": 30, "planner": planner.state_dict()}
    saved = shards.saved(spec, 1, 9, [shards.own(state, Progress.of(batch), spec)])
    return saved, [b.kept.tolist() for b in train(planner, 20)], spec


OTHER = Prior(np.full(400, 0.2, np.float32), 0.001)


@pytest.mark.parametrize(
    "before, now, said",
    [
        (prior_of(), prior_of(), ""),
        (None, None, ""),
        (None, prior_of(), f"under the prior none, this run has {prior_of().identity} and goes on"),
        (prior_of(), None, f"under the prior {prior_of().identity}, this run has none and goes on"),
        (prior_of(), OTHER, f"prior {prior_of().identity}, this run has {OTHER.identity} and goes"),
    ],
)
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_checkpoint_of_another_prior_resumes_with_a_warning(before, now, said, ranks, caplog):
    saved, expected, spec = saved_under(before)
    spec = dataclasses.replace(spec, prior=now, world_size=ranks)
    again = Shards()
    again.load(saved, spec, Ranks(0, ranks), 1)
    with caplog.at_level(logging.WARNING):
        state, progress = again.here(spec)
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == (1 if said else 0) and all(said in line for line in warned)
    planner = Planner(spec)
    planner.load_state_dict(state["planner"])
    if not said and ranks == 1:
        assert [b.kept.tolist() for b in train(planner, 20)] == expected
        return
    train(planner, 20)
    # the share kept of the pairs that a prior lets through stays the same
    mean = 1.0 if before is None else before.mean()
    was = again._states[0]["progress"][1] / mean
    assert progress.keep_rate == pytest.approx(min(1.0, was * spec.mean_prior), rel=1e-6)


def test_under_the_same_prior_the_share_kept_stays_the_same_number() -> None:
    spec = dataclasses.replace(make_spec(400), prior=Prior(np.full(400, 0.3, np.float32), 0.001))
    for rate in np.linspace(0.01, 1.0, 50):
        shards = Shards()
        state = {"trained": 1, "planner": {"strategy": {}, "keep_rate": float(rate)}}
        shards.own(state, Progress(1.0, float(rate), Totals()), spec)
        exchange, progress = shards.here(spec)
        assert exchange["planner"]["keep_rate"] == progress.keep_rate == rate
        assert shards.keep_rate(spec) == rate


@pytest.mark.parametrize(
    "prior, advice",
    [(OTHER, "resume with --autoassist-prior none"), (None, "--autoassist-prior-floor 1 turns")],
)
def test_a_checkpoint_with_other_columns_is_refused_with_the_way_to_resume(prior, advice) -> None:
    """Advise ``none`` where this run has more columns, and to keep them where it has fewer."""
    spec = make_spec(200)
    other = dataclasses.replace(spec, features_hash="b", prior=prior)
    with pytest.raises(AutoAssistError, match=advice):
        check_state(state_header(spec), other)
