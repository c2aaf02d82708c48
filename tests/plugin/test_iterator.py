"""Iterator between fairseq and the exchange: its session, and the messages of a batch."""

from __future__ import annotations

import contextlib

import pytest

from fairseq_autoassist.core.message import Message
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.plugin.iterator import AutoAssistEpochIterator, Loader
from fairseq_autoassist.plugin.ranks import Ranks
from fairseq_autoassist.plugin.shards import Shards
from tests.support.planning import make_spec


@contextlib.contextmanager
def opened(**settings):
    """Open the session of an iterator, which is closed with the block in any case."""
    words = (make_spec(200, **settings), 1, Loader(0, 0, (1,)), Shards(), Ranks(0, 1))
    session = AutoAssistEpochIterator(None, *words)._open()
    with contextlib.closing(session):
        yield session


@pytest.mark.parametrize("inline, kind", [(True, Exchange), (False, ProcessExchange)])
def test_the_assistant_has_a_process_unless_it_is_to_be_inline(inline, kind):
    with opened(inline=inline) as session:
        assert type(session.exchange) is kind


def test_a_message_is_told_once_though_its_batch_is_trained_on_again():
    """Under --amp fairseq runs a micro-batch again after an overflow."""
    with opened(inline=True) as session:
        batch, message = session.next_batch(), Message("something", bad=False)
        batch.messages.append(message)
        assert session.trained(batch.number).messages == [message]
        again = session.trained(batch.number)
        assert again.messages == [] and again.ids.tolist() == batch.ids.tolist()
        assert session.trained(batch.number + 1) is None
