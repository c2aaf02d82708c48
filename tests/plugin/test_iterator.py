"""The iterator between fairseq and the exchange: which one it opens, what it tells of a batch."""

from __future__ import annotations

import contextlib

import pytest

from fairseq_autoassist.core.protocol import News
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.plugin.iterator import AutoAssistEpochIterator, Loader
from fairseq_autoassist.plugin.ranks import Ranks
from fairseq_autoassist.plugin.shards import Shards
from tests.support.planning import make_spec


@contextlib.contextmanager
def opened(**settings):
    """The session of an iterator, which is closed whatever happens."""
    words = (make_spec(200, **settings), 1, Loader(0, 0, (1,)), Shards(), Ranks(0, 1))
    session = AutoAssistEpochIterator(None, *words)._open()
    with contextlib.closing(session):
        yield session


@pytest.mark.parametrize("inline, kind", [(True, Exchange), (False, ProcessExchange)])
def test_the_assistant_has_a_process_unless_it_is_to_be_inline(inline, kind):
    with opened(inline=inline) as session:
        assert type(session.exchange) is kind


def test_news_is_told_once_though_its_batch_is_trained_on_again():
    """Under --amp fairseq runs a micro-batch again after an overflow."""
    with opened(inline=True) as session:
        batch, news = session.next_batch(), News("something", bad=False)
        batch.news.append(news)
        assert session.trained(batch.number).news == [news]
        again = session.trained(batch.number)
        assert again.news == [] and again.ids.tolist() == batch.ids.tolist()
        assert session.trained(batch.number + 1) is None
