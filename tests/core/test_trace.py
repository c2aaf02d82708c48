"""Trace of the pairs trained on: whole, cut short, and after a resume."""

import os
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.core.trace import TRAINED, TraceWriter, read, trace_file
from fairseq_autoassist.errors import AutoAssistError, ConfigError


def write(folder, *blocks, rank=0):
    writer = TraceWriter(str(folder), rank)
    for update, batch, ids in blocks:
        writer.write(update, batch, np.array(ids))


def found(folder, rank=0):
    return [tuple(row) for row in read(folder, rank).tolist()]


def test_reads_what_was_written_by_rank(tmp_path):
    write(tmp_path / "new" / "folder", (1, 0, [7, 5]), (1, 1, [5]), (2, 2, [2**40]))
    write(tmp_path / "new" / "folder", (1, 0, [3]), rank=1)
    assert found(tmp_path / "new" / "folder") == [
        (1, 0, 7),
        (1, 0, 5),
        (1, 1, 5),
        (2, 2, 2**40),
    ]
    assert found(tmp_path / "new" / "folder", 1) == [(1, 0, 3)]
    assert read(tmp_path / "new" / "folder").dtype == TRAINED


def test_held_micro_batches_are_written_once_unless_they_are_dropped(tmp_path):
    writer = TraceWriter(str(tmp_path), 0)
    for update, batch in ((1, 0), (1, 1)):
        writer.hold(update, batch, np.array([batch]))
    assert found(tmp_path) == []
    writer.drop()
    for batch in (2, 3):
        writer.hold(1, batch, np.array([batch]))
    writer.write_held()
    writer.write_held()
    assert found(tmp_path) == [(1, 2, 2), (1, 3, 3)]


def test_the_file_is_closed_on_request_or_with_the_writer(tmp_path):
    writer = TraceWriter(str(tmp_path), 0)
    stream = writer._stream
    writer.close()
    writer.close()
    assert stream.closed
    writer = TraceWriter(str(tmp_path), 0)
    stream = writer._stream
    assert not stream.closed
    del writer
    assert stream.closed


def test_a_resume_drops_what_came_after_its_checkpoint(tmp_path):
    write(tmp_path, (1, 0, [1]), (2, 1, [2]), (3, 2, [3]), (4, 3, [4]))
    # from the checkpoint of update 2; it ends sooner than the first time
    write(tmp_path, (3, 2, [30]))
    assert found(tmp_path) == [(1, 0, 1), (2, 1, 2), (3, 2, 30)]


def test_a_micro_batch_that_is_run_again_counts_once(tmp_path):
    """AMP runs an update again when its gradients overflow."""
    write(tmp_path, (1, 0, [1]), (1, 1, [2]), (1, 0, [1]), (1, 1, [2]), (2, 2, [3]))
    assert found(tmp_path) == [(1, 0, 1), (1, 1, 2), (2, 2, 3)]


@pytest.mark.parametrize("cut", [1, 8, 13, 16, 24, 31, 39])
def test_a_block_that_a_kill_cut_short_is_left_out_and_written_over(tmp_path, cut):
    write(tmp_path, (1, 0, [1, 2]), (2, 1, [3, 4]))
    path = trace_file(tmp_path, 0)
    path.write_bytes(path.read_bytes()[:-cut])
    assert found(tmp_path) == [(1, 0, 1), (1, 0, 2)]
    write(tmp_path, (2, 1, [3, 4]))
    assert found(tmp_path) == [(1, 0, 1), (1, 0, 2), (2, 1, 3), (2, 1, 4)]


def test_a_count_of_batches_that_begins_again_drops_nothing(tmp_path):
    """--reset-dataloader: the stream starts again, the updates go on."""
    write(tmp_path, (1, 0, [1]), (2, 1, [2]), (3, 2, [3]))
    write(tmp_path, (4, 0, [4]), (5, 1, [5]))
    write(tmp_path, (5, 1, [6]))  # resumed from a checkpoint at update 4
    assert found(tmp_path) == [(1, 0, 1), (2, 1, 2), (3, 2, 3), (4, 0, 4), (5, 1, 6)]


def test_an_attempt_from_the_same_checkpoint_is_dropped_though_its_count_began_again(tmp_path):
    write(tmp_path, (1, 0, [1]), (2, 1, [2]), (3, 2, [3]))
    write(tmp_path, (3, 0, [30]), (4, 1, [40]), (5, 2, [50]))  # --reset-dataloader, from update 2
    write(tmp_path, (3, 2, [3]), (4, 3, [4]))  # from update 2 again, without it
    # both attempts begin in update 3, so the batch (3, 0) of the dropped one stays
    assert found(tmp_path) == [(1, 0, 1), (2, 1, 2), (3, 0, 30), (3, 2, 3), (4, 3, 4)]


def test_a_trace_without_updates_is_empty_and_a_missing_trace_is_an_error(tmp_path):
    write(tmp_path)
    assert len(read(tmp_path)) == 0 and read(tmp_path).dtype == TRAINED
    with pytest.raises(FileNotFoundError):
        read(tmp_path, rank=1)


@pytest.mark.parametrize("inside", ["", "below"])
def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path, inside):
    path = tmp_path / "file"
    path.write_text("mine")
    named = path / inside
    with pytest.raises(ConfigError, match=f"--autoassist-trace {named}: .*expected a folder") as e:
        TraceWriter(str(named), 0)
    assert str(path) in str(e.value) and "\n" not in str(e.value) and path.read_text() == "mine"


def test_a_folder_that_may_not_be_written_to_is_refused():
    with pytest.raises(ConfigError, match="--autoassist-trace /proc/none: .*expected a folder"):
        TraceWriter("/proc/none", 0)


def test_a_file_that_is_no_trace_is_refused_and_stays(tmp_path):
    content = np.array([1, 0, -3, 9], "<i8").tobytes()
    trace_file(tmp_path, 0).write_bytes(content)
    with pytest.raises(ConfigError, match=r"rank0\.trace: found a block of -3 items after 0 bytes"):
        TraceWriter(str(tmp_path), 0)
    assert trace_file(tmp_path, 0).read_bytes() == content


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_during_a_run_is_named_with_the_trace(tmp_path):
    os.symlink("/dev/full", trace_file(tmp_path, 0))
    writer = TraceWriter.__new__(TraceWriter)
    writer._path = trace_file(tmp_path, 0)
    writer._stream = open(writer._path, "ab", buffering=0)
    with pytest.raises(AutoAssistError, match=f"the trace {writer._path} cannot .*No space left"):
        writer.write(1, 0, np.array([1]))
