"""Real runs of each strategy: what they train on, exact resume, the trace."""

import os
import shutil
import signal

import numpy as np
import pytest

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core import trace
from fairseq_autoassist.core.strategies import STRATEGIES, metric_names
from tests.e2e.test_failures import refused
from tests.support.priors import write_agreement
from tests.support.processes import wait_for
from tests.support.recording import OOM_EVERY, OVERFLOW_EVERY
from tests.support.training import (
    PLUGIN,
    SHRINK,
    STOCK,
    copy_data_bin,
    data_bin,
    find,
    start_train,
    train,
)

pytestmark = pytest.mark.timeout(120)
QUIET = ["--disable-validation", "--no-save"]
SETTINGS = {
    "uniform": [],
    "random": ["--autoassist-keep", 0.5],
    "autoassist": SHRINK,
    "own-loss": SHRINK,
    "competence": ["--autoassist-competence-start", 0.2],
    "spl": ["--autoassist-spl-passes", 5],
    "infobatch": [],
    "prior": [],
}
OPTIONS = [
    *[*SHRINK, "--autoassist-floor", 0.2, "--autoassist-upper", 4],
    *["--autoassist-competence", "--autoassist-competence-updates", 20],
]


def strategy(name, *more):
    return [*PLUGIN, "--autoassist-strategy", name, *SETTINGS[name], *more]


def test_every_strategy_has_a_run():
    assert set(SETTINGS) == set(STRATEGIES)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_trains_to_its_end(tmp_path, name):
    data = data_bin()
    if name in ("uniform", "random", "spl", "infobatch"):  # these need no features
        data = copy_data_bin(tmp_path / "data")
        shutil.rmtree(data / "autoassist")
    if name == "prior":  # needs no features either
        data = copy_data_bin(tmp_path / "data")
        shutil.rmtree(data / "autoassist")
        write_agreement(data, np.random.default_rng(0).uniform(0.01, 1.0, 400))
    result = train(data, tmp_path, *strategy(name), *QUIET, "--max-update", 90).ok()
    last = result.updates[-1]
    assert len(result.batches) == 90 and not find(result, "| ERROR |")
    assert np.isfinite(result.losses()).all()
    assert (float(last["aa_saved"]) > 0.05) == (name != "uniform")
    for metric in metric_names(AutoAssistConfig(name)):
        assert np.isfinite(float(last["aa_" + metric]))
    # pairs chosen for being easy hold no uniform sample of the data
    assert ("aa_loss" in result.updates[20]) == (name not in ("competence", "spl"))


def test_competence_starts_with_short_sentences(tmp_path):
    words = strategy("competence", "--autoassist-competence-by", "length", *QUIET)
    result = train(data_bin(), tmp_path, *words, "--max-update", 60).ok()
    with (data_bin() / "text.train.en").open() as lines:
        lengths = np.array([len(line.split()) + 1 for line in lines])
    early, late = (np.concatenate(result.ids()[a:b]) for a, b in ((0, 5), (40, 60)))
    assert lengths[early].max() <= np.quantile(lengths, 0.45)
    assert lengths[late].mean() == pytest.approx(lengths.mean(), rel=0.1)


def test_autoassist_begins_with_the_easy_pairs(tmp_path):
    easy = ["--autoassist-competence", "--autoassist-competence-updates", 60]
    result = train(data_bin(), tmp_path, *strategy("autoassist", *easy), *QUIET, "--max-update", 90)
    updates = result.ok().updates
    competence = np.array([float(update["aa_competence"]) for update in updates])
    gamma = np.array([float(update["aa_gamma"]) for update in updates])
    assert (np.diff(competence) >= 0).all() and competence[0] < 0.5 and competence[-1] == 1.0
    assert (gamma[competence < 1] == 0).all() and (gamma[-10:] > 0.3).all()
    assert float(updates[-1]["aa_acc"]) > 0.5  # it learned while competence was below 1
    assert "aa_loss" not in updates[20] and "aa_loss" in updates[-1]


def test_a_curriculum_can_be_switched_on_in_the_middle_of_a_run(tmp_path):
    """Log competence 0 for batches that were planned before the checkpoint."""
    save = ["--disable-validation", "--max-update"]
    train(data_bin(), tmp_path, *strategy("autoassist"), *save, 20).ok()
    easy = ["--autoassist-competence", "--autoassist-competence-updates", 60]
    updates = train(data_bin(), tmp_path, *strategy("autoassist", *easy), *save, 70).ok().updates
    assert len(updates) == 50
    assert float(updates[0]["aa_competence"]) == 0.0 and float(updates[-1]["aa_competence"]) == 1.0


def test_a_new_stream_does_not_begin_the_curriculum_again(tmp_path):
    """Follow the trainer's count of updates, which a new stream does not know at once."""
    words = strategy("competence", "--autoassist-competence-by", "length", "--disable-validation")
    words += ["--autoassist-competence-updates", 10]
    train(data_bin(), tmp_path, *words, "--max-update", 20).ok()
    more = ["--reset-dataloader", "--max-update", 60, "--no-save"]
    again = train(data_bin(), tmp_path, *words, *more).ok()
    assert len(again.updates) == 40
    assert {float(update["aa_keep"]) for update in again.updates} == {1.0}


@pytest.mark.parametrize(
    "name, more",
    [
        ("infobatch", []),
        pytest.param("autoassist", OPTIONS, marks=pytest.mark.slow),
    ],
)
def test_a_run_resumes_exactly(tmp_path, name, more):
    words = strategy(name, *more, "--disable-validation", "--num-workers", 1)
    words += ["--max-update", 90, "--save-interval-updates", 25]
    whole = train(data_bin(), tmp_path / "whole", *words).ok()
    assert float(whole.updates[-1]["aa_saved"]) > 0.02
    saved = {
        int(p.stem.rsplit("_", 1)[1]): p for p in (tmp_path / "whole").glob("checkpoint_*_*.pt")
    }
    step = max(step for step in saved if step < 90)
    again = ["--restore-file", saved[step], "--no-save"]
    resumed = train(data_bin(), tmp_path / "r", *words, *again).ok()
    assert resumed.ids() == whole.ids()[step:]
    assert resumed.losses() == whole.losses()[step:]  # they include the weights
    curves = [[u["aa_keep"] for u in run.updates[-10:]] for run in (whole, resumed)]
    assert curves[0] == curves[1]


def test_weights_reach_the_loss(tmp_path):
    """Train with and without weights: batches and losses are equal until the first weight."""
    words = ["--autoassist-inline", *QUIET, "--max-update", 60]
    runs = [
        train(
            data_bin(), tmp_path, *strategy("infobatch", "--autoassist-infobatch-ratio", r), *words
        )
        for r in (0.0, 0.6)
    ]
    plain, weighted = (run.ok() for run in runs)
    first = next(i for i, (a, b) in enumerate(zip(plain.ids(), weighted.ids())) if a != b)
    assert first > 25 and plain.losses()[:first] == weighted.losses()[:first]
    # fairseq logs the weighted loss; nll_loss is not weighted
    ratio = [float(u["loss"]) / float(u["nll_loss"]) for u in weighted.updates]
    assert max(ratio[first + 10 :]) > 1.15 * max(ratio[:first])


def traced(folder, rank=0):
    """Updates and ids of the micro-batches in a trace."""
    rows = trace.read(folder, rank)
    starts = np.flatnonzero(np.diff(rows["batch"], prepend=-1))
    parts = np.split(rows, starts[1:])
    return [int(p["update"][0]) for p in parts], [sorted(p["id"].tolist()) for p in parts]


def trained(*runs):
    steps = [batch for run in runs for batch in run]
    return [step["update"] + 1 for step in steps], [sorted(step["ids"]) for step in steps]


def of_made_updates(run, update_freq):
    """Micro-batches of the last attempt at each update; the others were discarded."""
    attempts = {}
    for batch in run.batches:
        attempts.setdefault(batch["update"], []).append(batch)
    return [batch for batches in attempts.values() for batch in batches[-update_freq:]]


@pytest.mark.parametrize("update_freq", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_trace_is_what_was_trained_on_also_after_a_kill(tmp_path, update_freq):
    words = [*strategy("autoassist"), "--disable-validation", "--update-freq", update_freq]
    words += ["--autoassist-trace", tmp_path / "trace", "--num-workers", 1]
    with start_train(
        data_bin(), tmp_path, *words, "--save-interval-updates", 10, "--max-update", 100_000
    ) as process:
        wait_for(lambda: list(tmp_path.glob("checkpoint_*_*.pt")), 90, "a checkpoint")
        (saved, *_) = tmp_path.glob("checkpoint_*_*.pt")
        step = int(saved.stem.rsplit("_", 1)[1])
        wait_for(lambda: len(process.batches()) > (step + 15) * update_freq, 60, "updates after it")
        os.kill(process.pid, signal.SIGKILL)
        killed = process.wait(30)
    # the resumed run ends before the killed one did, whose later updates do not count
    more = ["--restore-file", saved, "--max-update", step + 8, "--no-save"]
    resumed = train(data_bin(), tmp_path, *words, *more).ok()
    standing = killed.batches[: step * update_freq]
    assert resumed.batches[0]["update"] == step and len(resumed.batches) == 8 * update_freq
    assert traced(tmp_path / "trace") == trained(standing, resumed.batches)


@pytest.mark.parametrize(
    "fault, update_freq",
    [(OVERFLOW_EVERY, 2), (OOM_EVERY, 2), pytest.param(OVERFLOW_EVERY, 1, marks=pytest.mark.slow)],
)
def test_the_trace_leaves_out_updates_that_were_discarded(
    tmp_path, monkeypatch, fault, update_freq
):
    """fp16 discards an update that overflows, and fairseq one that runs out of memory."""
    monkeypatch.setenv(fault, "4")
    words = [*strategy("autoassist"), "--no-save", "--validate-interval-updates", 1]
    words += ["--autoassist-trace", tmp_path / "trace", "--update-freq", update_freq]
    run = train(data_bin(), tmp_path, *words, "--max-update", 20).ok()
    made = of_made_updates(run, update_freq)
    assert len(made) == 20 * update_freq < len(run.batches)
    assert traced(tmp_path / "trace") == trained(made)


@pytest.mark.parametrize("name", ["infobatch", "competence"])
def test_a_run_without_an_end_is_refused(tmp_path, name):
    message = refused(data_bin(), tmp_path, *strategy(name))
    assert f"--autoassist-{name}-" in message and "give --max-update or --max-epoch" in message


def test_a_criterion_of_fairseqs_own_delays_nothing(tmp_path):
    """Report every batch as trained on, though this criterion gives no sentence losses."""
    words = [*PLUGIN[:4], *STOCK[2:], "--autoassist-strategy", "random", *SETTINGS["random"]]
    words += ["--autoassist-timeout", 3, "--max-update", 60]
    result = train(data_bin(), tmp_path, *words, *QUIET).ok()
    assert len(result.batches) == 60 and not find(result, "| ERROR |")
