"""Faults of ranks, Assistants and disks, and signals: training goes on or all ranks end."""

import os
import resource
import signal
import time

import pytest

from tests.support.processes import alive, children, wait_for, workers
from tests.support.ranks import start_ranks, train_ranks
from tests.support.training import NO_EPOCHS, PLUGIN, SHRINK, copy_data_bin, data_bin, find

pytestmark = pytest.mark.timeout(200)
QUIET = ["--disable-validation", "--no-save"]
FOREVER = ["--max-update", 1_000_000]


def wait_for_updates(processes, updates):
    wait_for(lambda: all(len(p.batches()) > updates for p in processes), 60, "the first updates")


def all_end(processes, seconds=30):
    """Wait for all ranks to end by themselves; returns their runs."""
    started = time.monotonic()
    below = [pid for process in processes for pid in children(process.pid)]
    runs = [process.wait(seconds) for process in processes]
    assert time.monotonic() - started < seconds
    wait_for(lambda: not any(alive(pid) for pid in below), 10, "all processes to end")
    return runs


def test_a_killed_rank_ends_all_ranks_and_the_last_checkpoint_resumes(tmp_path):
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--save-interval-updates", 20, *NO_EPOCHS]
    with start_ranks(2, data_bin(), tmp_path, *words, *FOREVER) as processes:
        wait_for_updates(processes, 45)
        processes[1].signal(signal.SIGKILL)
        runs = all_end(processes)
    assert all(run.status != 0 for run in runs)
    assert "Error" in runs[0].output  # torch reports that its peer is gone
    resumed = train_ranks(2, data_bin(), tmp_path, *words, "--max-update", 70)
    first = resumed[0].batches[0]["update"]
    assert first >= 40 and first % 20 == 0


def test_a_killed_assistant_stops_no_rank(tmp_path):
    words = [*PLUGIN, *SHRINK, *QUIET, "--max-update", 200]
    with start_ranks(2, data_bin(), tmp_path, *words) as processes:
        wait_for_updates(processes, 45)
        os.kill(workers(processes[1].pid)[0], signal.SIGKILL)
        runs = all_end(processes, 90)
    assert [run.status for run in runs] == [0, 0]
    assert [len(run.batches) for run in runs] == [200, 200]
    assert find(runs[1], "died (signal 9)") and not find(runs[0], "died")


@pytest.mark.slow
def test_an_assistant_stopped_for_ten_seconds_only_delays(tmp_path):
    words = [*PLUGIN, *SHRINK, *QUIET, "--max-update", 200]
    with start_ranks(2, data_bin(), tmp_path, *words) as processes:
        wait_for_updates(processes, 45)
        (worker,) = workers(processes[0].pid)
        os.kill(worker, signal.SIGSTOP)
        time.sleep(10)
        os.kill(worker, signal.SIGCONT)
        runs = all_end(processes, 90)
    assert [run.status for run in runs] == [0, 0]
    assert not any(find(run, "| ERROR |") for run in runs)


@pytest.mark.slow
def test_training_goes_on_when_features_become_unreadable(tmp_path):
    folder = copy_data_bin(tmp_path / "data")
    words = [*PLUGIN, *SHRINK, *QUIET, "--max-update", 250]
    with start_ranks(2, folder, tmp_path / "ck", *words) as processes:
        wait_for_updates(processes, 45)
        for path in (folder / "autoassist" / "train.en-de").glob("block0.*"):
            os.truncate(path, 0)  # the next read of a mapped page is a bus error
        runs = all_end(processes, 90)
    assert [run.status for run in runs] == [0, 0]
    assert all(find(run, "died (signal 7)") for run in runs)


def test_sigterm_to_all_ranks_leaves_no_process_and_the_run_resumes(tmp_path):
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--save-interval-updates", 20]
    words += ["--num-workers", 1]
    with start_ranks(2, data_bin(), tmp_path, *words, *FOREVER) as processes:
        wait_for_updates(processes, 45)
        for process in processes:
            process.signal(signal.SIGTERM)
        runs = all_end(processes)
    assert all(run.status != 0 for run in runs)
    resumed = train_ranks(2, data_bin(), tmp_path, *words, "--max-update", 70)
    assert resumed[0].batches[0]["update"] >= 40


@pytest.mark.slow
def test_a_full_disk_while_saving_ends_all_ranks_and_the_run_resumes(tmp_path):
    words = [*PLUGIN, *SHRINK, "--disable-validation", "--save-interval-updates", 40, *NO_EPOCHS]
    with start_ranks(2, data_bin(), tmp_path, *words, *FOREVER) as processes:
        wait_for_updates(processes, 41)  # the first checkpoint is written
        for process in processes:
            # a limit on the size of files: a write beyond it fails as on a full disk
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        runs = all_end(processes, 60)
    assert all(run.status != 0 for run in runs)
    resumed = train_ranks(2, data_bin(), tmp_path, *words, "--max-update", 90)
    first = resumed[0].batches[0]["update"]
    assert first >= 40 and first % 40 == 0
