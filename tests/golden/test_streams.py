"""Golden streams: every strategy makes the batches recorded in `streams.json`, id for id.

Another process wrote the file, so equal streams show that batches depend on seed, settings and
losses alone. For a change that is meant to alter a stream see `write.py`.
"""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest

from tests.golden.cases import CASES, FAIRSEQ, LENGTH, PAIRS, RESIZES, SAVED_AT, Rank, train
from tests.golden.streams import (
    Stream,
    case_names,
    content,
    difference,
    digests,
    fairseq_stream,
    load,
    name_of,
    recorded_from,
    resized_streams,
    stream_of,
    streams_of,
)

pytestmark = pytest.mark.timeout(120)
recorded = functools.lru_cache(maxsize=None)(load)
KEEPS_ALL = ("uniform", "uniform ignores prior")
every_case = pytest.mark.parametrize("case", CASES)
every_world = pytest.mark.parametrize("world_size", LENGTH)


def check(made: dict[str, Stream]) -> None:
    """Fail with the first batch of each stream that differs."""
    found = [difference(name, recorded()[name], stream) for name, stream in made.items()]
    if any(found):
        pytest.fail("\n".join(filter(None, found)))


@every_case
@every_world
def test_batches_are_as_recorded(case, world_size):
    check(streams_of(case, world_size))


@every_case
@every_world
def test_a_resume_makes_the_recorded_batches(case, world_size):
    for rank in range(world_size):
        saving = Rank(case, rank, world_size)
        train(saving, SAVED_AT, ahead=6)
        resumed = Rank(case, rank, world_size, copy.deepcopy(saving.state()))
        made = [content(b) for b in train(resumed, LENGTH[world_size] - SAVED_AT)]
        name = name_of(case, rank, world_size)
        rest = digests(stream_of(made, []))
        expected = digests(recorded()[name])[SAVED_AT:]
        wrong = [SAVED_AT + k for k, pair in enumerate(zip(expected, rest)) if len(set(pair)) > 1]
        assert not wrong, f"{name}: batch {wrong[0]} differs after a resume at {SAVED_AT}"
        assert len(rest) == len(expected)


@pytest.mark.parametrize("case, before, after", RESIZES)
def test_a_resume_on_another_world_size_makes_the_recorded_batches(case, before, after):
    check(resized_streams(case, before, after))


@pytest.mark.parametrize("case", ["autoassist judged", "autoassist prior", "infobatch"])
def test_a_worker_process_makes_the_recorded_batches(case):
    made = recorded_from(Rank(case, process=True), LENGTH[1], ahead=8)
    # counts are those of the batch taken last, so they depend on `ahead`
    made = {**recorded()[name_of(case, 0, 1)], **{k: made[k] for k in ("sha256", "batches")}}
    check({name_of(case, 0, 1): made})


@pytest.mark.parametrize("strategy", FAIRSEQ)
def test_fairseq_train_takes_the_recorded_pairs(strategy):
    check(fairseq_stream(strategy))


def test_each_case_has_its_streams_and_no_other_is_recorded():
    names = {name_of(c, rank, size) for c in CASES for size in LENGTH for rank in range(size)}
    names |= {name_of(c, r, after, before) for c, before, after in RESIZES for r in range(after)}
    assert set(recorded()) == names | {name for name in case_names() if name not in CASES}


@every_case
@every_world
def test_recorded_streams_have_two_whole_passes_and_skip_pairs(case, world_size):
    for rank in range(world_size):
        stream = recorded()[name_of(case, rank, world_size)]
        assert stream["passes"] >= 2
        skipped = stream["considered"] - stream["kept"]
        assert skipped == 0 if case in KEEPS_ALL else skipped > 0.05 * stream["considered"]


@pytest.mark.parametrize("strategy", FAIRSEQ)
def test_recorded_streams_of_fairseq_train_have_two_whole_passes(strategy):
    assert recorded()[f"fairseq-train {strategy}"]["pairs"] > 2 * PAIRS


def test_a_difference_names_the_case_and_the_first_batch():
    ids = [np.array([k, k + 1]) for k in range(4)]
    contents = [of.tobytes() for of in ids]
    stream = stream_of(contents, ids, kept=8)
    assert difference("some case", stream, stream_of(contents, ids, kept=8)) == ""
    changed = stream_of([*contents[:2], b"x", b"y"], ids, kept=8)
    assert difference("some case", stream, changed).startswith("some case: batch 2 differs")
    assert "3 made" in difference("some case", stream, stream_of(contents[:3], ids, kept=8))
    assert "kept recorded 8, made 9" in difference(
        "some case", stream, stream_of(contents, ids, kept=9)
    )
