"""Reports that cannot be right are refused in one line that says what to change."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np
import pytest
import torch

from fairseq_autoassist.errors import AutoAssistError
from fairseq_autoassist.pytorch.checks import ReportError
from fairseq_autoassist.pytorch.reports import Reports
from fairseq_autoassist.tensors import HostCopy
from tests.support.loop import BATCH, Loop, make


@pytest.fixture
def assist():
    return make("autoassist")


def take(assist, count=1):
    """Ids of batches, as a loader hands them out."""
    batches = iter(assist)
    return [torch.tensor(next(batches)) for _ in range(count)]


def losses_of(ids):
    return torch.ones(len(ids), requires_grad=True)


def refused(assist, ids, losses) -> str:
    """Line in which a report is refused."""
    with pytest.raises(ReportError) as caught:
        assist.report(ids, losses)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("wrong", ["ids", "losses"])
def test_what_is_no_tensor_is_refused(assist, wrong):
    (ids,) = take(assist)
    given = {"ids": ids, "losses": losses_of(ids), wrong: {"a": 1}}
    assert f"found {wrong} in a dict, expected a tensor" in refused(assist, **given)


def test_a_wrong_report_is_an_error_of_this_package():
    assert issubclass(ReportError, AutoAssistError)


def test_a_reduced_loss_is_refused(assist):
    (ids,) = take(assist)
    line = refused(assist, ids, losses_of(ids).mean())
    assert 'reduction="none"' in line and f"({BATCH},)" in line


@pytest.mark.parametrize("shape", [(BATCH, 1), (BATCH, 7), (BATCH - 1,), (1,)])
def test_losses_of_another_shape_are_refused(assist, shape):
    (ids,) = take(assist)
    assert f"shape {shape} for {BATCH} ids" in refused(assist, ids, torch.ones(shape))


def test_losses_of_integers_are_refused(assist):
    (ids,) = take(assist)
    assert "torch.int64" in refused(assist, ids, ids)


@pytest.mark.parametrize("wrong", [torch.ones(BATCH), torch.ones(BATCH, 2).long(), torch.tensor(3)])
def test_wrong_ids_are_refused(assist, wrong):
    assert "WithIds(dataset)" in refused(assist, wrong, torch.ones(BATCH))


def test_a_batch_that_is_reported_twice_is_refused(assist):
    ids, other = take(assist, 2)
    assist.report(ids, losses_of(ids))
    assert "batch 0 is reported a second time" in refused(assist, ids, losses_of(ids))
    assist.report(other, losses_of(other))  # training may go on
    assert assist.batch == 2


def test_a_batch_that_is_reported_in_parts_is_refused(assist):
    (ids,) = take(assist)
    assert f"10 of the {BATCH} items of batch 0" in refused(assist, ids[:10], losses_of(ids[:10]))


def test_a_batch_of_another_loader_is_refused(assist):
    take(assist)
    other = torch.arange(BATCH)
    assert "that are no batch of this loader" in refused(assist, other, losses_of(other))
    assert "that are no batch of this loader" in refused(assist, other[:3], losses_of(other[:3]))


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_a_report_of_an_evaluation_is_refused(assist, off):
    (ids,) = take(assist)
    with off():
        losses = torch.ones(BATCH)
        assert "an evaluation loop must not report" in refused(assist, ids, losses)
    assert assist.batch == 0


def test_losses_are_accepted_with_gradients_or_where_gradients_are_on(assist):
    first, second = take(assist, 2)
    assist.report(first, losses_of(first).detach())
    with torch.no_grad():
        assist.report(second, losses_of(second))
    assert assist.batch == 2


def test_a_batch_that_is_never_reported_is_left_out_with_one_warning(assist, caplog):
    batches = take(assist, 6)
    with caplog.at_level(logging.WARNING):
        for number in (1, 3, 5):
            assist.report(batches[number], losses_of(batches[number]))
    (said,) = [record.getMessage() for record in caplog.records]
    assert "batch 0 was taken from the loader and not reported" in said
    assert assist.batch == 6
    assert "are no batch of this loader" in refused(assist, batches[0], losses_of(batches[0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_losses_of_any_precision_are_learned_from(dtype):
    rounded = Loop(make("infobatch", epoch=60)), Loop(make("infobatch", epoch=60))
    for loop, kind in zip(rounded, (dtype, torch.float32)):
        for ids, *_ in loop.loader:
            losses = (ids / 600).to(dtype)
            loop.assist.report(ids, losses.to(kind))
    known = [
        loop.assist._session._exchange._planner.strategy.memory.of(np.arange(600))
        for loop in rounded
    ]
    assert np.array_equal(*known, equal_nan=True) and np.isfinite(known[0]).sum() > 500


def test_reports_may_be_arrays_and_lists(assist):
    batches = take(assist, 2)
    assist.report(batches[0].numpy(), np.ones(BATCH, np.float32))
    assist.report(batches[1].tolist(), [1.0] * BATCH)
    assert assist.batch == 2


def test_weights_of_unknown_ids_are_refused(assist):
    (ids,) = take(assist)
    assert assist.weights(ids).tolist() == [1.0] * BATCH
    with pytest.raises(ReportError, match="are no batch of this loader"):
        assist.weights(torch.arange(5))


class OnDevice:
    """Simulated device: copies from it arrive once ``done`` is set, or are waited for."""

    def __init__(self, monkeypatch) -> None:
        self.done, self.waits = False, 0
        monkeypatch.setattr(HostCopy, "arrived", property(lambda copy: self.done))
        numpy = HostCopy.numpy

        def wait(copy):
            self.waits += not self.done
            return numpy(copy)

        monkeypatch.setattr(HostCopy, "numpy", wait)


def test_losses_on_a_device_are_not_waited_for(assist, monkeypatch):
    device = OnDevice(monkeypatch)
    batches = take(assist, 3)
    monkeypatch.setattr(Reports, "_on_host", staticmethod(lambda ids: False))
    for ids in batches:
        assist.report(ids, losses_of(ids))
        assert assist.metrics == {}
    assert device.waits == 0 and assist.batch == 3
    device.done = True
    assert assist.metrics["considered"] > 0
    assert assist.batch == 3 and device.waits == 0


def test_ids_on_a_device_that_are_wrong_are_refused_when_they_have_arrived(assist, monkeypatch):
    device = OnDevice(monkeypatch)
    batches = take(assist, 2)
    monkeypatch.setattr(Reports, "_on_host", staticmethod(lambda ids: False))
    assist.report(batches[0], losses_of(batches[0]))
    assist.report(batches[0], losses_of(batches[0]))
    device.done = True
    assert "batch 0 is reported a second time" in refused(assist, batches[1], losses_of(batches[1]))


def test_planning_waits_for_a_device_only_where_it_needs_its_losses(monkeypatch):
    assist = make("autoassist", lag=4)
    device = OnDevice(monkeypatch)
    monkeypatch.setattr(Reports, "_on_host", staticmethod(lambda ids: False))
    batches = iter(assist)
    for _ in range(4):
        ids = torch.tensor(next(batches))
        assist.report(ids, losses_of(ids))
    assert device.waits == 0
    next(batches)  # planned with the losses of the first batch alone
    assert device.waits == 2 and assist.batch == 4


def test_a_loader_may_be_read_in_another_thread(assist, monkeypatch):
    """Either thread passes on losses that have arrived from a device."""
    batches, read, done = iter(assist), [], False
    ids = torch.tensor(next(batches))

    def arrived(copy):
        time.sleep(0.1 * done)  # the other thread asks meanwhile
        return done

    monkeypatch.setattr(HostCopy, "arrived", property(arrived))
    assist.report(ids, losses_of(ids))
    done = True
    reader = threading.Thread(target=lambda: read.append(next(batches)))
    reader.start()
    assert assist.metrics["considered"] > 0
    reader.join()
    assert len(read) == 1 and assist.batch == 1


def test_the_state_counts_every_report(assist, monkeypatch):
    OnDevice(monkeypatch)
    batches = take(assist, 3)
    for ids in batches[:2]:
        assist.report(ids, losses_of(ids))
    assert assist.state_dict()["trained"] == 2
