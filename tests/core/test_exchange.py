"""Exchange, inline and with a worker process: the same batches, and every failure handled."""

import dataclasses
import gc
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest

from fairseq_autoassist.cli.tfidf import main as build_features
from fairseq_autoassist.core.worker.child import SNAPSHOT_EVERY
from fairseq_autoassist.core.worker.client import Exchange, lag_for
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.errors import AssistantFailure
from fairseq_autoassist.features.store import Features
from tests.support.corpus import ROOT, write_data_bin
from tests.support.planning import make_spec
from tests.support.processes import alive, wait_for

pytestmark = pytest.mark.timeout(60)
PAIRS = 600
PACKAGE = ROOT / "fairseq_autoassist"


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = write_data_bin(tmp_path_factory.mktemp("data"), PAIRS, vocabulary=300)
    assert build_features([str(folder)]) == 0
    return str(folder / "autoassist" / "train.de-en")


@pytest.fixture
def opened():
    """Function that opens an exchange; all are closed after the test."""
    exchanges = []

    def open_exchange(kind, *args):
        exchanges.append(kind(*args))
        return exchanges[-1]

    yield open_exchange
    for exchange in exchanges:
        exchange.close()


def spec_of(features, **settings):
    settings.setdefault("strategy", "autoassist")
    if settings["strategy"] == "autoassist":
        settings.setdefault("gamma_decay", 0.8)
    spec = make_spec(PAIRS, lag=settings.pop("lag", 10), features=features, **settings)
    return dataclasses.replace(spec, dimensions=Features.open(features).dimensions)


def train(exchange, batches, ahead=0, losses=None):
    """Train on so many batches, with ``ahead`` further ones taken; returns those trained on."""
    losses = losses or (lambda ids: 1.0 + ids % 2)
    taken, out = [], []
    for _ in range(batches):
        while len(taken) < ahead + 1:
            taken.append(exchange.next_batch())
        batch = taken.pop(0)
        out.append(batch)
        exchange.report(batch.number, np.asarray(losses(batch.ids), dtype=np.float32))
    return out


def ids_of(batches):
    return [batch.ids.tolist() for batch in batches]


@pytest.mark.parametrize("ahead", [0, 1, 8])
def test_process_equals_inline(features, opened, ahead):
    inline = train(opened(Exchange, spec_of(features)), 150, ahead)
    process = train(opened(ProcessExchange, spec_of(features)), 150, ahead)
    assert ids_of(process) == ids_of(inline)
    assert [b.kept.tolist() for b in process] == [b.kept.tolist() for b in inline]
    assert process[-1].keep_rate < 1.0  # something was skipped
    assert [b.metrics for b in process] == [b.metrics for b in inline]


def test_timing_changes_nothing(features, opened):
    prompt = train(opened(Exchange, spec_of(features)), 60)

    def slowly(ids):
        time.sleep(0.02 * (ids[0] % 3 == 0))
        return 1.0 + ids % 2

    assert ids_of(train(opened(ProcessExchange, spec_of(features)), 60, 4, slowly)) == ids_of(
        prompt
    )


@pytest.mark.parametrize("kind", [Exchange, ProcessExchange])
@pytest.mark.parametrize("other", [Exchange, ProcessExchange])
def test_a_resume_makes_the_same_batches(features, opened, kind, other):
    reference = ids_of(train(opened(Exchange, spec_of(features)), 120))
    first = opened(kind, spec_of(features))
    train(first, 70, ahead=6)
    state = first.state_dict()
    second = opened(other, spec_of(features), state)
    assert ids_of(train(second, 50, ahead=3)) == reference[70:]


def test_what_a_state_has_learned_depends_on_the_reports_alone(features, opened):
    """On another data-bin the strategy could not learn from reports that were left over."""
    states, following = [], []
    for kind, ahead in ((Exchange, 0), (ProcessExchange, 0), (Exchange, 7)):
        exchange = opened(kind, spec_of(features))
        taken = [exchange.next_batch() for _ in range(ahead)]
        for _ in range(60):
            taken.append(exchange.next_batch())
            batch = taken.pop(0)
            exchange.report(batch.number, np.float32(1.0 + batch.ids % 2))
        states.append(exchange.state_dict()["planner"])
        taken += [exchange.next_batch() for _ in range(10 - ahead)]  # planned for the state
        following.append(ids_of(taken))
    assert following[1] == following[0] == following[2]
    for state in states:
        assert (state["next_number"], state["learned"]) == (70, 60)
        np.testing.assert_equal(state["strategy"], states[0]["strategy"])
        assert state["stream"] == states[0]["stream"]


def test_the_worker_imports_no_file_of_the_working_folder(features, opened, tmp_path, monkeypatch):
    (tmp_path / "tokenize.py").write_text("raise RuntimeError('this is no tokenizer of Python')")
    monkeypatch.chdir(tmp_path)
    exchange = opened(ProcessExchange, spec_of(features))
    train(exchange, 20)
    assert exchange.failure is None and exchange.pid is not None


def test_the_worker_imports_no_file_beside_the_package(features, tmp_path):
    beside = tmp_path / "project"
    shutil.copytree(PACKAGE, beside / PACKAGE.name)
    (beside / "tokenize.py").write_text("raise RuntimeError('this is no tokenizer of Python')")
    (tmp_path / "spec").write_bytes(pickle.dumps(spec_of(features)))
    program = (
        "import pickle, sys, tokenize; sys.path.insert(0, sys.argv[1])\n"
        "from fairseq_autoassist.core.worker import process\n"
        "assert process.__file__.startswith(sys.argv[1])\n"
        "exchange = process.ProcessExchange(pickle.load(open(sys.argv[2], 'rb')))\n"
        "exchange.next_batch()\n"
        "sys.exit(exchange.failure)\n"
    )
    words = [sys.executable, "-c", program, str(beside), str(tmp_path / "spec")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_worker_ends_with_its_exchange(features):
    """With fairseq-hydra-train --multirun a process has several runs, and none is closed."""
    before = threading.active_count()
    exchange = ProcessExchange(spec_of(features))
    exchange.next_batch()
    pid = exchange.pid
    assert alive(pid) and threading.active_count() == before + 2
    del exchange
    gc.collect()
    wait_for(lambda: not alive(pid), 20.0, "the worker's end")
    wait_for(lambda: threading.active_count() == before, 20.0, "the end of its threads")


def test_a_worker_outlives_signals_that_the_run_outlives(features, opened):
    """A scheduler may signal all processes of a job while training goes on."""
    exchange = opened(ProcessExchange, spec_of(features))
    train(exchange, 3)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(exchange.pid, number)
    train(exchange, 60)
    assert exchange.failure is None


def test_reports_must_come_in_order(features, opened):
    exchange = opened(Exchange, spec_of(features))
    exchange.next_batch()
    with pytest.raises(ValueError, match="report of micro-batch 1, expected 0"):
        exchange.report(1, None)


@pytest.mark.parametrize("before", [3, SNAPSHOT_EVERY + 30])
@pytest.mark.parametrize("how", ["kill", "stop", "raise"])
def test_a_failed_worker_loses_no_pair(features, opened, before, how):
    exchange = opened(ProcessExchange, spec_of(features, timeout=1.0))
    done = train(exchange, before, ahead=2)
    taken = before + 2
    pid = exchange.pid
    if how == "raise":  # a report that does not fit its batch
        exchange.report(before, np.ones(1000, np.float32))
    else:
        os.kill(pid, signal.SIGKILL if how == "kill" else signal.SIGSTOP)
    started = time.monotonic()
    # first the two batches taken ahead
    for number in range(exchange.ledger.reported, taken):
        exchange.report(number, None)
    done += train_on(exchange, 200)
    assert time.monotonic() - started < 15
    assert exchange.failure and str(pid) in exchange.failure
    cause = {"kill": "died (signal 9)", "stop": "gave no answer for 1 s", "raise": "raised:"}
    assert cause[how] in exchange.failure
    assert not alive(pid)
    assert [b.number for b in done] == [*range(before), *range(taken, taken + 200)]
    # two and a half passes follow, and nothing is skipped in them
    late = Counter(i for ids in ids_of(done[before:]) for i in ids)
    assert set(late) == set(range(PAIRS))
    state = exchange.state_dict()
    resumed = opened(Exchange, spec_of(features), state)
    assert resumed.next_batch().number == exchange.ledger.reported


def test_after_a_failed_worker_every_pair_comes_once_per_pass(features, opened):
    exchange = opened(ProcessExchange, spec_of(features, strategy="uniform"))
    done = train(exchange, SNAPSHOT_EVERY + 20, ahead=0)
    os.kill(exchange.pid, signal.SIGKILL)
    done += train_on(exchange, 200)
    assert exchange.failure
    planner = exchange.state_dict()["planner"]
    waiting = [b["kept"] for b in planner["in_flight"] if b["number"] >= exchange.ledger.reported]
    held = [*planner["ready"], *waiting, planner["buckets"]["kept"]]
    times = Counter(i for ids in ids_of(done) for i in ids)
    times.update(i for part in held for i in part["id"].tolist())
    whole = planner["stream"]["position"][0]
    assert whole > 2 and set(times) == set(range(PAIRS))
    assert set(times.values()) <= {whole, whole + 1}


def train_on(exchange, batches):
    out = []
    for _ in range(batches):
        batch = exchange.next_batch()
        out.append(batch)
        exchange.report(batch.number, np.ones(len(batch.ids), np.float32))
    return out


def test_stop_on_failure_raises(features, opened):
    exchange = opened(ProcessExchange, spec_of(features, on_failure="stop"))
    train(exchange, 5)
    os.kill(exchange.pid, signal.SIGKILL)
    with pytest.raises(AssistantFailure, match=r"died \(signal 9\).*stop"):
        train(exchange, 100)


def test_state_of_a_failed_worker_can_be_saved(features, opened):
    exchange = opened(ProcessExchange, spec_of(features))
    train(exchange, 20)
    os.kill(exchange.pid, signal.SIGKILL)
    assert exchange.state_dict()["trained"] == 20


def test_the_worker_ends_with_its_parent(features):
    program = (
        "import sys, time\n"
        "from tests.core.test_exchange import ProcessExchange, spec_of, train\n"
        "exchange = ProcessExchange(spec_of(sys.argv[1]))\n"
        "train(exchange, 3)\n"
        "print(exchange.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, features], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
        wait_for(lambda: not alive(pid), 5, "the worker to end with its parent")
    finally:
        parent.kill()
        parent.wait()


def test_lag_exceeds_what_the_loader_takes_ahead():
    assert lag_for(0, 1) == 32
    assert lag_for(19, 16) > 19 + 16


def test_the_worker_imports_neither_torch_nor_fairseq():
    program = (
        "import sys, fairseq_autoassist.core.worker.child\n"
        "found = {'torch', 'fairseq', 'sklearn'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
