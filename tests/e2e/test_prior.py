"""Real runs of fairseq-train under a prior."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.test_failures import refused
from tests.support.corpus import make_data_bin, multi30k_pairs
from tests.support.priors import write_agreement
from tests.support.processes import wait_for, workers
from tests.support.ranks import train_ranks
from tests.support.training import PLUGIN, SHRINK, STOCK, Run, find, start_train, train

pytestmark = pytest.mark.timeout(120)
QUIET = ["--disable-validation", "--no-save"]
PAIRS = 1000
JUNK = np.arange(PAIRS) % 10 >= 3
PRIOR = np.where(JUNK, 0.0, 1.0)
PRIOR_ALONE = ["--autoassist-strategy", "prior"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data-bin with a prior that calls 7 pairs in 10 junk; tests must not change it."""
    from fairseq_autoassist.cli.tfidf import main as build_features

    folder = tmp_path_factory.mktemp("prior") / "data-bin"
    make_data_bin(folder, multi30k_pairs("train", PAIRS), multi30k_pairs("val", 20))
    assert build_features([str(folder)]) == 0
    write_agreement(folder, PRIOR)
    return folder


def junk(result: Run, start: int = 0, stop: int | None = None) -> float:
    """Share of junk among the pairs trained on in micro-batches start to stop."""
    return float(JUNK[np.concatenate(result.ids()[start:stop])].mean())


@pytest.mark.parametrize(
    "words", [SHRINK, PRIOR_ALONE, ["--autoassist-strategy", "infobatch"]], ids=" ".join
)
def test_by_default_a_run_trains_under_the_prior_of_agreement(data, tmp_path, words) -> None:
    result = train(data, tmp_path, *PLUGIN, *words, *QUIET, "--max-update", 60).ok()
    assert junk(result) < 0.02
    line = find(result, "AutoAssist: prior of autoassist-agreement")
    assert line and "| INFO |" in line
    assert ": mean 0.301, 70% of the pairs below 0.01; off with --autoassist-prior none" in line
    assert float(result.updates[-1]["aa_saved"]) > 0.6
    assert not find(result, "| WARNING | fairseq_autoassist")


def test_the_first_epoch_is_about_one_pass(data, tmp_path) -> None:
    result = train(data, tmp_path, *PLUGIN, *PRIOR_ALONE, *QUIET, "--max-epoch", 2).ok()
    first = [ids for ids, u in zip(result.ids(), result.updates) if int(u["epoch"]) == 1]
    good = PAIRS - JUNK.sum()  # without the mean prior the first epoch would be three passes
    assert sum(map(len, first)) == pytest.approx(good, rel=0.35)  # buckets fill slowly
    assert sum(map(len, result.ids())) == pytest.approx(2 * good, rel=0.1)


@pytest.mark.parametrize("words", ["--autoassist-prior none", "--autoassist-strategy uniform"])
def test_without_a_prior_junk_is_trained_on(data, tmp_path, words) -> None:
    result = train(data, tmp_path, *PLUGIN, *words.split(), *QUIET, "--max-update", 60).ok()
    assert junk(result) > 0.6 and not find(result, "AutoAssist: prior of")


def test_uniform_ignores_an_agreement(data, tmp_path) -> None:
    words = [*PLUGIN, "--autoassist-strategy", "uniform", *QUIET, "--max-update", 40]
    found = train(data, tmp_path, *words).ok()
    expected = train(data, tmp_path, *words, "--autoassist-prior", "none").ok()
    assert found.ids() == expected.ids() and found.losses() == expected.losses()


def test_scores_of_the_user_are_the_prior(data, tmp_path) -> None:
    path = tmp_path / "scores.txt"
    np.savetxt(path, 1.0 - PRIOR)  # the opposite of the agreement
    words = [*PLUGIN, *SHRINK, "--autoassist-prior", path, *QUIET, "--max-update", 60]
    result = train(data, tmp_path, *words).ok()
    assert junk(result) > 0.98
    assert find(result, f"AutoAssist: prior of {path}: mean 0.700, 30% of the pairs below 0.01")
    idle = [*PLUGIN, "--autoassist-strategy", "random", "--autoassist-prior", path]
    message = refused(data, tmp_path, *idle, *QUIET, "--max-update", 5)
    assert f"--autoassist-strategy random does not read --autoassist-prior {path}" in message
    path.write_text("0.5\n" * 3 + "1.5\n" + "0.5\n" * (PAIRS - 4))
    message = refused(data, tmp_path, *words)
    assert f"{path}, line 4: found '1.5', expected a number from 0 to 1" in message


def test_an_agreement_of_other_data_and_a_missing_one_are_refused(data, tmp_path) -> None:
    folder = make_data_bin(tmp_path / "data", multi30k_pairs("train", 60))
    message = refused(folder, tmp_path, *PLUGIN, *PRIOR_ALONE)
    command = f"autoassist-agreement {folder} --source-lang en --target-lang de"
    assert message.endswith(f"or leave that flag out and run: {command}")
    other = folder / "autoassist" / "train.en-de"
    other.mkdir(parents=True)
    for path in write_agreement(data, PRIOR).iterdir():
        if path.name.startswith(("agreement", "prior")):
            (other / path.name).write_bytes(path.read_bytes())
    message = refused(folder, tmp_path, *PLUGIN, *PRIOR_ALONE)
    assert "was made of other data than is loaded (rows" in message
    assert message.endswith(f"write it again with: {command}")


def saved_at(folder: Path, least: int) -> tuple[int, Path]:
    """Update and path of the first checkpoint within an epoch, from update ``least`` on."""
    found = {int(p.stem.rsplit("_", 1)[1]): p for p in folder.glob("checkpoint_*_*.pt")}
    step = min(step for step in found if step >= least)
    return step, found[step]


@pytest.mark.parametrize("words", [SHRINK, PRIOR_ALONE], ids=["autoassist", "prior"])
def test_a_run_resumes_exactly_also_after_a_kill(data, tmp_path, words) -> None:
    words = [*PLUGIN, *words, "--disable-validation", "--num-workers", 1]
    words += ["--save-interval-updates", 20, "--max-update", 90]
    whole = train(data, tmp_path / "whole", *words).ok()
    assert junk(whole) < 0.02
    killed = tmp_path / "killed"
    with start_train(data, killed, *words) as process:
        wait_for(lambda: list(killed.glob("checkpoint_*_*.pt")), 60, "a checkpoint")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    step, path = saved_at(killed, 1)
    resumed = train(data, tmp_path / "r", *words, "--restore-file", path, "--no-save").ok()
    assert 0 < step < 90 and not find(resumed, "under the prior")
    assert resumed.ids() == whole.ids()[step:] and resumed.losses() == whole.losses()[step:]


def test_a_checkpoint_of_another_prior_resumes_with_a_warning(data, tmp_path) -> None:
    words = [*PLUGIN, "--autoassist-strategy", "infobatch", "--disable-validation"]
    train(data, tmp_path, *words, "--max-update", 20).ok()
    more = ["--autoassist-prior", "none", "--max-update", 130]
    result = train(data, tmp_path, *words, *more).ok()
    line = find(result, "the checkpoint was made under the prior")
    assert line and "| WARNING |" in line
    assert line.endswith("this run has none and goes on with that")
    assert len(result.batches) == 110 and junk(result, 60) > 0.5
    # an epoch is about a pass again, not a third of one
    passes = [float(u["aa_pass"]) for u in result.updates]
    epochs = [int(u["epoch"]) for u in result.updates]
    second = [p for p, e in zip(passes, epochs) if e == epochs[0] + 1]
    assert max(second) - min(second) > 0.6


def test_a_checkpoint_without_the_columns_is_refused_with_the_way_to_resume(data, tmp_path) -> None:
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--max-update"]
    train(data, tmp_path, *words, 10, "--autoassist-prior", "none").ok()
    result = train(data, tmp_path, *words, 20)
    assert result.status != 0
    assert find(result, "features hash") and find(result, "with --autoassist-prior none")
    assert len(train(data, tmp_path, *words, 20, "--autoassist-prior", "none").ok().batches) == 10


def test_a_prior_is_turned_off_in_the_middle_of_a_run_by_its_floor(data, tmp_path) -> None:
    """Keep the features of agreement, which `--autoassist-prior none` would leave out."""
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--max-update"]
    train(data, tmp_path, *words, 20).ok()
    refusal = train(data, tmp_path, *words, 30, "--autoassist-prior", "none")
    assert refusal.status != 0 and find(refusal, "--autoassist-prior-floor 1 turns the prior off")
    off = ["--autoassist-prior-floor", 1, "--autoassist-floor", 1]
    result = train(data, tmp_path, *words, 130, *off).ok()
    assert len(result.batches) == 110 and junk(result, 60) > 0.5
    assert float(result.updates[-1]["aa_keep"]) > 0.99


def test_after_a_killed_worker_the_prior_still_holds(data, tmp_path) -> None:
    words = [*PLUGIN, *SHRINK, *QUIET, "--max-update", 400]
    with start_train(data, tmp_path, *words) as process:
        wait_for(lambda: len(process.batches()) > 60, 40, "the first updates")
        os.kill(workers(process.pid)[0], signal.SIGKILL)
        result = process.wait().ok()
    line = find(result, "died (signal 9)")
    assert line and "without skipping: every item that its prior lets through is kept" in line
    assert len(result.batches) == 400 and junk(result, -200) < 0.02
    late = np.bincount(np.concatenate(result.ids()[-200:]), minlength=PAIRS)
    assert (late[~JUNK] > 0).all()  # all that the prior lets through comes up
    assert float(result.updates[-1]["aa_keep"]) == pytest.approx(0.3, abs=0.08)


def test_two_ranks_train_under_the_prior_and_resume_exactly(data, tmp_path) -> None:
    words = [*PLUGIN, *SHRINK, "--save-interval-updates", 10, "--max-update", 40]
    words += ["--disable-validation"]
    whole = train_ranks(2, data, tmp_path / "a", *words)
    assert max(junk(run) for run in whole) < 0.03
    step, path = saved_at(tmp_path / "a", 20)
    resumed = train_ranks(2, data, tmp_path / "b", *words, "--restore-file", path, "--no-save")
    assert [run.ids() for run in resumed] == [run.ids()[step:] for run in whole]
    assert [run.losses() for run in resumed] == [run.losses()[step:] for run in whole]
    alone = train(data, tmp_path / "c", *words, "--restore-file", path, "--no-save").ok()
    assert len(alone.batches) == 40 - step and junk(alone) < 0.03


def test_the_strategy_prior_trains_with_fairseqs_own_criterion(data, tmp_path) -> None:
    words = [*PLUGIN[:4], *STOCK[2:], *PRIOR_ALONE, *QUIET, "--max-update", 50]
    result = train(data, tmp_path, *words).ok()
    assert len(result.batches) == 50 and junk(result) < 0.02
