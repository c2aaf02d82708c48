"""Strategies in a worker process: batches as inline, and no skipping after its death."""

import dataclasses
import os
import signal

import numpy as np
import pytest

from fairseq_autoassist.cli.tfidf import main as build_features
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.features.store import Features, StoredFeatures
from tests.support.corpus import write_data_bin
from tests.support.strategies import CASES, PAIRS, losses_of, spec_of

pytestmark = pytest.mark.timeout(60)
every_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = write_data_bin(tmp_path_factory.mktemp("data"), PAIRS, vocabulary=300)
    assert build_features([str(folder)]) == 0
    return str(folder / "autoassist" / "train.de-en")


@pytest.fixture
def opened(features):
    """Function that opens an exchange for a case; all are closed after the test."""
    exchanges = []

    def open_exchange(kind, case, state=None):
        spec = dataclasses.replace(spec_of(case, lag=10), features=StoredFeatures(features))
        spec = dataclasses.replace(spec, dimensions=Features.open(features).dimensions)
        exchanges.append(kind(spec, state))
        return exchanges[-1]

    yield open_exchange
    for exchange in exchanges:
        exchange.close()


def train(exchange, batches, ahead=4):
    """Train on so many batches, with ``ahead`` further ones taken; returns those trained on."""
    taken, out = [], []
    for _ in range(batches):
        while len(taken) < ahead + 1:
            taken.append(exchange.next_batch())
        out.append(taken.pop(0))
        exchange.report(out[-1].number, losses_of(out[-1].ids))
    return out


def contents(batches):
    return [(batch.kept.tolist(), batch.metrics, batch.totals) for batch in batches]


@every_case
def test_process_equals_inline_also_after_a_resume(opened, case):
    inline = contents(train(opened(Exchange, case), 90))
    first = opened(ProcessExchange, case)
    assert contents(train(first, 50)) == inline[:50]
    second = opened(ProcessExchange, case, first.state_dict())
    assert contents(train(second, 40)) == inline[50:]


@pytest.mark.parametrize("case", ["random", "competence by rarity", "spl", "infobatch"])
def test_after_a_dead_worker_nothing_is_skipped(opened, case):
    exchange = opened(ProcessExchange, case)
    train(exchange, 30, ahead=0)
    os.kill(exchange.pid, signal.SIGKILL)
    late = train(exchange, 200, ahead=0)[80:]
    assert exchange.failure and late[-1].keep_rate > 0.99
    assert set(np.concatenate([batch.ids for batch in late])) == set(range(PAIRS))
    assert len({weight for batch in late for weight in batch.kept["weight"].tolist()}) == 1
