"""Clock: the update of a planned micro-batch, by the trainer's count."""

from __future__ import annotations

import dataclasses
import math

import pytest

from fairseq_autoassist.core.clock import Clock, update_reached
from fairseq_autoassist.core.planner import Planner
from fairseq_autoassist.core.resize import redistribute
from fairseq_autoassist.core.worker.client import Exchange
from tests.support.planning import make_spec
from tests.support.strategies import losses_of

LAG = 5


def run(exchange, batches, update_freq=1, first=0):
    """Train on micro-batches from update ``first`` on; returns the training point after each."""
    points = []
    for k in range(batches):
        batch = exchange.next_batch()
        update = first + k // update_freq
        exchange.report(batch.number, losses_of(batch.ids), update)
        points.append(exchange._planner.point)
    return points


def spec_of(**changes):
    return dataclasses.replace(make_spec(400, lag=LAG), **changes)


@pytest.mark.parametrize("update_freq", [1, 3])
def test_updates_of_a_plain_run_are_exact(update_freq):
    clock = Clock(update_freq)
    for k in range(60):
        assert clock.at(k) == pytest.approx(k / update_freq)
        if k >= LAG:
            clock.tick(k - LAG, (k - LAG) // update_freq)
    assert Clock(4, 7.0).at(2) == 7.5
    clock.tick(99, None)  # an unknown update changes nothing
    assert clock.at(60) == pytest.approx(60 / update_freq)


def test_updates_that_were_skipped_do_not_count():
    clock = Clock(2)
    for k in range(20):
        clock.tick(k, k // 4)  # every other update overflowed
    assert clock.at(20) == pytest.approx(4 + 4 / 2)
    clock.tick(20, 5)
    assert clock.at(20) == 5


def test_a_run_that_began_without_the_plugin_counts_its_earlier_updates():
    """Checkpoint of fairseq's own task at update 5,000 of 5,100."""
    exchange = Exchange(spec_of(max_update=5100))
    points = run(exchange, 100, first=5000)
    assert [point.update for point in points[LAG + 1 :]] == list(range(5000 + LAG + 1, 5100))
    assert points[-1].share == pytest.approx(5099 / 5100)
    # with --max-epoch: five of ten passes were done without the plugin
    planner = Planner(spec_of(max_passes=10.0, passes_before=5.0))
    while planner.stream.passes < 5.0:
        planner.receive(planner.plan().number, None)
    assert planner.point.share == pytest.approx(1.0, abs=0.05)


def test_nothing_is_skipped_while_the_update_is_not_known():
    """Update 5,000 of another task's checkpoint is not known before the first report."""
    spec = make_spec(400, lag=LAG, strategy="competence", competence_by="length", chunk=50)
    config = dataclasses.replace(spec.config, competence_start=0.1, competence_updates=6000)
    exchange = Exchange(dataclasses.replace(spec, config=config, updates_before=math.inf))
    run(exchange, LAG + 1, first=5000)
    totals = exchange._planner._totals
    assert totals.kept == totals.considered > 0
    batch = exchange.next_batch()
    expected = math.sqrt((5000 + LAG + 1) / 6000 * (1 - 0.01) + 0.01)
    assert batch.metrics["competence"] == pytest.approx(expected)


@pytest.mark.parametrize("world_size, update_freq", [(1, 4), (8, 1)])
def test_a_resume_on_another_world_size_or_update_freq_begins_at_the_same_update(
    world_size, update_freq
):
    states = []
    for rank in range(4):
        spec = dataclasses.replace(make_spec(400, rank=rank, world_size=4, lag=LAG), max_update=90)
        exchange = Exchange(spec)
        run(exchange, 60)
        states.append(exchange.state_dict())
    assert [update_reached(state) for state in states] == [60] * 4
    spec = make_spec(400, rank=0, world_size=world_size, lag=LAG)
    spec = dataclasses.replace(spec, max_update=90, update_freq=update_freq)
    exchange = Exchange(spec, redistribute(states, "uniform", 0, world_size))
    points = run(exchange, 20 * update_freq, update_freq, first=60)
    assert points[0].update == 60 and points[0].share == pytest.approx(60 / 90)
    assert points[-1].update == pytest.approx(80 - 1 / update_freq)


def test_a_resume_counts_the_same_updates():
    spec = spec_of(update_freq=2, max_update=500)
    whole, first = Exchange(spec), Exchange(spec)
    expected = run(whole, 60, 2, first=100)
    run(first, 34, 2, first=100)
    second = Exchange(spec, first.state_dict())
    found = run(second, 26, 2, first=117)
    updates = [[point.update for point in points] for points in (found, expected[34:])]
    assert updates[0][LAG:] == updates[1][LAG:]


@pytest.mark.parametrize("first, later", [(16, 1), (1, 16)])
def test_an_update_freq_that_changes_with_the_epoch_is_taken_from_the_reports(first, later):
    clock = Clock(first, others=(first, later))
    updates = [k // first if k < 320 else 320 // first + (k - 320) // later for k in range(1000)]
    for k, update in enumerate(updates):
        if k >= LAG:
            clock.tick(k - LAG, updates[k - LAG])
        known = max(first, later) + LAG  # until a whole update of the new size is reported
        if not 320 <= k <= 320 + known:
            assert clock.at(k) == pytest.approx(update, abs=1)
    resumed = Clock(first, others=(first, later))
    resumed.load_state_dict(clock.state_dict())
    assert resumed.at(1040) == clock.at(1040) == pytest.approx(updates[-1] + 40 / later, abs=1)
    restarted = Clock(4, others=(4,))  # with another --update-freq
    restarted.load_state_dict(clock.state_dict())
    assert restarted.at(1040) - restarted.at(1000) == pytest.approx(10)


def test_skipped_updates_are_not_taken_for_another_update_freq():
    clock = Clock(2, others=(2, 8))
    for k in range(0, 20, 2):
        clock.tick(k, k // 4)  # every other update overflowed: four micro-batches have one number
    assert clock.at(20) == pytest.approx(4 + 4 / 2)


def test_the_end_that_comes_first_counts():
    by_updates = run(Exchange(spec_of(max_update=50, max_passes=100.0)), 26)
    assert by_updates[-1].share == pytest.approx(0.5)
    by_passes = run(Exchange(spec_of(max_update=5000, max_passes=4.0)), 26)
    assert by_passes[-1].share == pytest.approx(by_passes[-1].passes / 4) and by_passes[-1].passes
