"""Failures of real runs: refusals before training, and faults during it."""

import json
import os
import shutil
import signal
import time

import numpy as np
import pytest

from fairseq_autoassist.cli.tfidf import main as build_features
from fairseq_autoassist.features.manifest import FORMAT_VERSION
from tests.support.corpus import change_text, make_data_bin, multi30k_pairs
from tests.support.processes import alive, children, wait_for, workers
from tests.support.recording import OOM_EVERY
from tests.support.training import (
    NO_EPOCHS,
    PAPER,
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


def refused(data, tmp_path, *words):
    """Message of a run that must end before its first update."""
    result = train(data, tmp_path / "ck", *(words or PLUGIN), *QUIET)
    assert result.status != 0 and result.batches == []
    lines = [line for line in result.output.splitlines() if line.startswith("fairseq_autoassist")]
    assert lines, result.output[-3000:]
    return lines[-1]


def edit_manifest(folder, **changes):
    path = folder / "autoassist" / "train.en-de" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest.update(changes)
    path.write_text(json.dumps(manifest))


# -- before training ------------------------------------------------------------------------------


def test_missing_features_are_refused(tmp_path):
    folder = copy_data_bin(tmp_path / "data")
    shutil.rmtree(folder / "autoassist")
    message = refused(folder, tmp_path)
    assert "no features found" in message and f"autoassist-tfidf {folder}" in message


def test_truncated_features_are_refused(tmp_path):
    folder = copy_data_bin(tmp_path / "data")
    path = folder / "autoassist" / "train.en-de" / "block0.indices"
    size = path.stat().st_size
    os.truncate(path, size - 4)
    message = refused(folder, tmp_path)
    assert f"truncated: found {size - 4} bytes, expected {size}" in message
    assert "autoassist-tfidf" in message and "--force" in message


def test_a_curriculum_without_rarity_is_refused(tmp_path):
    folder = copy_data_bin(tmp_path / "data")
    (folder / "autoassist" / "train.en-de" / "rarity").unlink()
    words = ["--autoassist-strategy", "competence", "--max-update", 5]
    message = refused(folder, tmp_path, *PLUGIN, *words)
    assert "rarity is missing" in message and "autoassist-tfidf" in message


def test_features_of_another_version_are_refused(tmp_path):
    folder = copy_data_bin(tmp_path / "data")
    edit_manifest(folder, format_version=99)
    message = refused(folder, tmp_path)
    assert f"format version 99, expected {FORMAT_VERSION}" in message
    assert "autoassist-tfidf" in message


@pytest.mark.parametrize("what", ["rows", "dictionary", "sizes", "tokens"])
def test_features_of_another_data_bin_are_refused(tmp_path, what):
    folder = copy_data_bin(tmp_path / "data")
    other = folder / "autoassist"
    if what == "rows":
        shutil.rmtree(other)
        shutil.copytree(data_bin(60, 10) / "autoassist", other)
    elif what == "dictionary":
        with (folder / "dict.de.txt").open("a") as file:
            file.write("new-word 1\n")
    elif what == "tokens":
        change_text(folder)
    else:  # the pairs in another order
        pairs = multi30k_pairs("train", 400)[::-1]
        dicts = [
            f"--{side}dict={folder / f'dict.{lang}.txt'}"
            for side, lang in (("src", "en"), ("tgt", "de"))
        ]
        turned = make_data_bin(tmp_path / "turned", pairs, multi30k_pairs("val", 40), *dicts)
        shutil.copytree(other, turned / "autoassist")
        folder = turned
    message = refused(folder, tmp_path)
    assert what in message and "found" in message and "expected" in message
    assert f"autoassist-tfidf {folder}" in message


def test_a_criterion_that_reports_no_losses_is_refused(tmp_path):
    words = [*PLUGIN[:4], *STOCK[2:]]
    message = refused(data_bin(), tmp_path, *words)
    assert "--criterion label_smoothed_cross_entropy reports no sentence losses" in message
    assert "autoassist_label_smoothed_cross_entropy" in message


def test_without_the_plugins_task_a_line_says_that_nothing_is_skipped(tmp_path):
    words = [*PLUGIN[:2], *PLUGIN[4:], "--source-lang", "en", "--target-lang", "de"]
    result = train(data_bin(), tmp_path, *words, "--max-update", 3, *QUIET).ok()
    said = [line for line in result.output.splitlines() if "expected --task" in line]
    assert len(said) == 1 and "--task translation makes the batches" in said[0]


def test_an_option_out_of_range_is_refused(tmp_path):
    message = refused(data_bin(), tmp_path, *PLUGIN, "--autoassist-floor", 1.5)
    assert "--autoassist-floor is 1.5, expected between 0.0 and 1.0" in message


def test_an_unknown_strategy_is_refused(tmp_path):
    message = refused(data_bin(), tmp_path, *PLUGIN, "--autoassist-strategy", "magic")
    assert "'magic', expected one of: 'autoassist', 'uniform'" in message


def test_an_empty_data_set_is_refused(tmp_path, capsys):
    folder = make_data_bin(tmp_path / "data", [], multi30k_pairs("val", 5))
    assert build_features([str(folder)]) == 2
    assert "error" in capsys.readouterr().err
    words = [*PLUGIN, "--autoassist-strategy", "uniform"]
    message = refused(folder, tmp_path, *words)
    assert "0 pairs" in message and "fairseq-preprocess" in message


def test_a_data_set_of_only_overlong_pairs_is_refused(tmp_path):
    words = [*PLUGIN, "--max-source-positions", 2, "--max-target-positions", 2]
    message = refused(data_bin(), tmp_path, *words)
    assert "400 of 400 training pairs are longer than (2, 2)" in message
    assert "--max-source-positions" in message


def test_a_run_resumes_under_smaller_batches(tmp_path):
    words = [*PLUGIN, "--disable-validation"]
    whole = train(data_bin(), tmp_path / "ck", *words, "--max-update", 3).ok()
    result = train(data_bin(), tmp_path / "ck", *words, "--max-update", 12, "--max-tokens", 150)
    assert find(result.ok(), "made under --max-tokens 250, --batch-size none")
    ids = [i for run in (whole, result) for batch in run.ids() for i in batch]
    assert len(result.batches) == 9 and len(ids) == len(set(ids))  # all within the first pass


# -- during training ------------------------------------------------------------------------------


def hurt(tmp_path, how, *words):
    """Train for a while, apply ``how`` to the Assistant's process, and wait for the run to end."""
    words = [*PLUGIN, *SHRINK, *QUIET, "--autoassist-timeout", 2, *words]
    with start_train(data_bin(), tmp_path, *words) as process:
        wait_for(lambda: len(process.batches()) > 80, 40, "the first updates")
        (worker,) = workers(process.pid)
        below = children(process.pid)
        how(worker)
        started = time.monotonic()
        result = process.wait(60)
    assert time.monotonic() - started < 40
    for pid in below:
        wait_for(lambda pid=pid: not alive(pid), 8, f"process {pid} to end")
    return result


CAUSES = {
    "kill": (signal.SIGKILL, "died (signal 9)"),
    "stop": (signal.SIGSTOP, "gave no answer for 2 s"),
    "bus error": (signal.SIGBUS, "died (signal 7)"),
}


@pytest.mark.parametrize("cause, loader", [("kill", 0), ("stop", 2), ("bus error", 0)])
def test_training_goes_on_without_a_failed_assistant(tmp_path, cause, loader):
    number, said = CAUSES[cause]
    words = ["--max-update", 500, "--num-workers", loader]
    result = hurt(tmp_path, lambda pid: os.kill(pid, number), *words).ok()
    line = find(result, said)
    assert line and "| ERROR |" in line and "without skipping" in line
    assert len(result.batches) == 500
    # long after the failure, every pair comes up
    late = np.bincount([i for ids in result.ids()[-300:] for i in ids], minlength=400)
    assert late.min() >= 1
    assert float(result.updates[-1]["aa_keep"]) > 0.99


def test_on_failure_stop_ends_training(tmp_path):
    words = ["--max-update", 100_000, "--autoassist-on-failure", "stop"]
    result = hurt(tmp_path, lambda pid: os.kill(pid, signal.SIGKILL), *words)
    assert result.status != 0
    line = find(result, "AssistantFailure: ")
    assert line and "died (signal 9)" in line and "--autoassist-on-failure stop" in line


def test_a_run_with_a_failed_assistant_can_be_saved_and_resumed(tmp_path):
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--save-interval-updates", 100]
    with start_train(data_bin(), tmp_path, *words, "--max-update", 400) as process:
        wait_for(lambda: len(process.batches()) > 120, 40, "the first updates")
        os.kill(workers(process.pid)[0], signal.SIGKILL)
        process.wait().ok()
    resumed = train(data_bin(), tmp_path, *words, "--max-update", 450).ok()
    assert len(resumed.batches) == 50
    assert not find(resumed, "| ERROR |")


@pytest.mark.parametrize("on_failure", ["continue", "stop"])
def test_a_useless_assistant_is_reported(tmp_path, on_failure):
    # learning rate 0: the Assistant always predicts 1/2
    words = [*PLUGIN, *PAPER, *QUIET, "--autoassist-guard-pairs", 100, "--autoassist-eta", 0]
    words += ["--max-update", 300, "--autoassist-on-failure", on_failure]
    result = train(data_bin(), tmp_path, *words)
    said = "the Assistant is no better than the majority class"
    if on_failure == "stop":
        assert result.status != 0 and 50 < len(result.batches) < 300  # not at the first verdict
        assert "still no better" in find(result, "AssistantFailure: ")
        return
    assert said in find(result.ok(), "| WARNING |")
    assert float(result.updates[-1]["aa_gamma"]) == 0.0
    assert float(result.updates[-1]["aa_keep"]) > 0.99


def test_a_diverging_model_ends_with_fairseqs_own_error_and_no_process(tmp_path):
    result = train(data_bin(), tmp_path, *PLUGIN, *QUIET, "--lr", 1e30, "--max-update", 50)
    assert result.status != 0
    assert find(result, "Nan/Inf") or find(result, "NaN")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("loader", [0, 2])
def test_ctrl_c_and_sigterm_leave_no_process_and_no_half_written_file(tmp_path, number, loader):
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--num-workers", loader]
    # rare saves, so that the signal comes between two: fairseq leaves a .tmp of a save cut short
    words += ["--save-interval-updates", 200, *NO_EPOCHS, "--max-update", 1_000_000]
    with start_train(data_bin(), tmp_path / "ck", *words) as process:
        wait_for(lambda: len(process.batches()) > 210, 40, "the first updates")
        below = children(process.pid)
        assert len(below) >= 1 + loader
        process.signal(number)
        result = process.wait(30)
    assert result.status != 0
    wait_for(lambda: not any(alive(pid) for pid in below), 10, "all processes to end")
    written = {path.suffix for path in (tmp_path / "ck").iterdir()}
    assert written == {".pt"}  # no file of a save that was cut short
    go_on = [*PLUGIN, *SHRINK, *QUIET, "--max-update", len(result.batches) + 9]
    resumed = train(data_bin(), tmp_path / "ck", *go_on).ok()
    assert resumed.batches[0]["update"] >= 200


@pytest.mark.parametrize("update_freq", [1, 3])
def test_out_of_memory_in_a_micro_batch_does_not_end_the_run(tmp_path, monkeypatch, update_freq):
    """Report the planned batches of the rest of the update, which fairseq drops."""
    monkeypatch.setenv(OOM_EVERY, "11")
    words = [*PLUGIN, *SHRINK, *QUIET, "--update-freq", update_freq, "--max-update", 60]
    result = train(data_bin(), tmp_path, *words).ok()
    assert int(result.updates[-1]["num_updates"]) == 60
    assert find(result, "attempting to recover from OOM")
