"""Ledger: every micro-batch has one outcome and one report, in order."""

import numpy as np
import pytest

from fairseq_autoassist.core.batching import kept_items
from fairseq_autoassist.core.ledger import Ledger
from fairseq_autoassist.core.message import Message
from fairseq_autoassist.core.protocol import PlannedBatch, Totals


def handed_out(count, reported=0, repeated=1):
    """Ledger with so many micro-batches handed out, each with one message."""
    ledger = Ledger(reported, repeated)
    for number in range(reported, reported + count):
        pairs = kept_items(np.array([number]))
        messages = [Message("something", bad=False)]
        ledger.hand_out(PlannedBatch(number, pairs, Totals(), (0, 0), 0.0, 1.0, {}, messages))
    return ledger


def test_an_outcome_counts_once():
    ledger = Ledger(reported=5)
    assert not ledger.take_outcome(4)
    assert [ledger.take_outcome(n) for n in (5, 5, 6, 5)] == [True, False, True, False]


def test_a_resumed_run_counts_on():
    assert (Ledger(5).handed_out, handed_out(9, reported=3).handed_out) == (5, 12)


def test_a_dropped_batch_is_named_once():
    ledger = handed_out(9, reported=3)
    assert ledger.dropped_before(3) == []
    assert ledger.train(3).number == 3
    assert ledger.dropped_before(7) == [4, 5, 6]
    assert ledger.dropped_before(7) == [] and ledger.dropped_before(4) == []
    assert ledger.train(7).number == 7 and ledger.dropped_before(8) == []


def test_a_batch_that_is_trained_on_again_repeats_no_message():
    ledger = handed_out(4, repeated=2)
    assert [len(ledger.train(n).messages) for n in (0, 1, 0, 1, 2)] == [1, 1, 0, 0, 1]
    assert ledger.train(4) is None


def test_batches_are_kept_until_their_update_is_reported():
    ledger = handed_out(6, repeated=2)
    for number in range(4):
        ledger.train(number)
        ledger.report(number)
    assert (ledger.reported, ledger.handed_out) == (4, 6)
    assert [ledger.train(n) is None for n in range(6)] == [True, True, False, False, False, False]


@pytest.mark.parametrize("number", [1, 3])
def test_a_report_that_is_left_out_or_comes_twice_is_refused(number):
    ledger = handed_out(4)
    ledger.report(0)
    ledger.report(1)
    with pytest.raises(ValueError, match=f"report of micro-batch {number}, expected 2"):
        ledger.report(number)
