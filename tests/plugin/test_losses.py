"""Mailbox between criterion and Assistant: every micro-batch once, in order."""

import numpy as np
import pytest
import torch

from fairseq_autoassist.core.ledger import Ledger
from fairseq_autoassist.plugin.losses import LossMailbox


@pytest.fixture
def posted():
    return []


@pytest.fixture
def mailbox(posted):
    """Mailbox that posts number and losses; another test checks the update."""
    return LossMailbox(Ledger(), lambda number, losses, update: posted.append((number, losses)))


def test_losses_are_posted_in_the_order_of_the_plan(mailbox, posted):
    mailbox.put(0, torch.tensor([3.0, 1.0, 2.0]), np.array([2, 0, 1]))
    mailbox.flush()
    ((number, losses),) = posted
    assert number == 0 and losses.tolist() == [1.0, 2.0, 3.0] and losses.dtype == np.float32


def test_a_batch_that_is_run_again_is_reported_once(mailbox, posted):
    for value in (1.0, 2.0):
        mailbox.put(0, torch.tensor([value]), np.array([0]))
    mailbox.skip(0)
    mailbox.put(1, torch.tensor([5.0]), np.array([0]))
    mailbox.flush()
    assert [(n, losses.tolist()) for n, losses in posted] == [(0, [1.0]), (1, [5.0])]


def test_a_batch_without_losses_is_reported_as_such_and_in_turn(mailbox, posted):
    mailbox.put(0, torch.tensor([1.0]), np.array([0]))
    mailbox.skip(1)
    mailbox.skip(1)
    assert [(n, losses is None) for n, losses in posted] == [(0, False), (1, True)]


def test_losses_belong_to_the_update_during_which_they_were_put():
    posted = []
    mailbox = LossMailbox(Ledger(), lambda number, losses, update: posted.append((number, update)))
    mailbox.update = 7
    mailbox.put(0, torch.ones(1), np.array([0]))
    mailbox.put(1, torch.ones(1), np.array([0]))
    mailbox.update = 8  # the copies arrive only now
    mailbox.put(2, torch.ones(1), np.array([0]))
    mailbox.skip(3)
    assert posted == [(0, 7), (1, 7), (2, 8), (3, 8)]


def test_losses_that_have_not_arrived_are_not_waited_for(mailbox, posted):
    class Event:
        """Stand-in for the event of a copy from a GPU that is under way."""

        done = False

        def query(self):
            return self.done

        def synchronize(self):
            self.done = True

    mailbox.put(0, torch.tensor([1.0]), np.array([0]))
    event = mailbox._pending[0][2]._event = Event()
    mailbox.flush(wait=False)
    assert posted == []
    mailbox.flush()
    assert event.done and len(posted) == 1
