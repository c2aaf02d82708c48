"""Streams of batches as digests, from which the first batch that differs is found."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Iterable, Sequence

import numpy as np

from tests.golden.cases import (
    AHEAD,
    CASES,
    FAIRSEQ,
    FAIRSEQ_UPDATES,
    LENGTH,
    RESIZED,
    RESIZES,
    SAVED_AT,
    Batch,
    Rank,
    data_bin,
    train,
)
from tests.support import training
from tests.support.corpus import session_folder

FILE = Path(__file__).with_name("streams.json")
IN_CLEAR = 2  # batches of each stream whose ids are written out
Stream = dict[str, Any]


def name_of(case: str, rank: int, world_size: int, before: int = 0) -> str:
    """Name of a rank's stream; ``before``: world size until the resume, 0: no resume."""
    resumed = f" after {before}" if before else ""
    return f"{case}: rank {rank} of {world_size}{resumed}"


def content(batch: Batch) -> bytes:
    """Bytes of a batch: ids, uniform marks and weights."""
    columns = (batch.ids, "<i8"), (batch.uniform, "u1"), (batch.weights, "<f4")
    return b"".join(np.asarray(column, kind).tobytes() for column, kind in columns)


def stream_of(contents: list[bytes], ids: Sequence, **counts: int) -> Stream:
    """Stream in the form of `streams.json`.

    Args:
        contents: bytes of each batch
        ids: of each batch
        counts: facts about the whole stream
    """
    return {
        "sha256": hashlib.sha256(b"".join(contents)).hexdigest(),
        **counts,
        "first": [np.asarray(of).tolist() for of in ids[:IN_CLEAR]],
        "batches": " ".join(hashlib.sha256(one).hexdigest()[:8] for one in contents),
    }


def recorded_from(rank: Rank, length: int, ahead: int = AHEAD) -> Stream:
    """Stream of a rank over so many micro-batches; closes the rank."""
    try:
        batches = train(rank, length, ahead)
    finally:
        rank.close()
    counts = {"considered": rank.considered, "kept": rank.kept, "passes": rank.passes}
    return stream_of([content(b) for b in batches], [b.ids for b in batches], **counts)


def streams_of(case: str, world_size: int) -> dict[str, Stream]:
    """Streams of all ranks of a case, by name."""
    return {
        name_of(case, rank, world_size): recorded_from(
            Rank(case, rank, world_size), LENGTH[world_size]
        )
        for rank in range(world_size)
    }


def resized_streams(case: str, before: int, after: int) -> dict[str, Stream]:
    """Streams of all ranks of a case after a resume on another world size, by name."""
    states = []
    for rank in range(before):
        saving = Rank(case, rank, before)
        train(saving, SAVED_AT)
        states.append(saving.state())
    return {
        name_of(case, rank, after, before): recorded_from(Rank(case, rank, after, state), RESIZED)
        for rank, state in enumerate(Rank.resized(case, states, after))
    }


def fairseq_stream(strategy: str) -> dict[str, Stream]:
    """Stream of ids on which a real fairseq-train of a tiny model trains, by name."""
    words = [*training.PLUGIN, *FAIRSEQ[strategy], "--max-update", FAIRSEQ_UPDATES, "--no-save"]
    words += ["--disable-validation"]
    run = training.train(data_bin(), session_folder() / f"golden-{strategy}", *words)
    # ordered: torch's sort by length may leave ties in any order
    trained = [sorted(ids) for ids in run.ok().ids()]
    contents = [np.asarray(ids, "<i8").tobytes() for ids in trained]
    pairs = sum(map(len, trained))
    return {f"fairseq-train {strategy}": stream_of(contents, trained, pairs=pairs)}


def digests(stream: Stream) -> list[str]:
    """Digest of each batch, 8 hex digits."""
    return stream["batches"].split()


def difference(name: str, recorded: Stream, found: Stream) -> str:
    """Text that names the first batch in which two streams differ; empty: they are equal."""
    before, now = digests(recorded), digests(found)
    for number, (old, new) in enumerate(zip(before, now)):
        if old != new:
            ids = _ids(recorded, found, number)
            return f"{name}: batch {number} differs: recorded {old}, made {new}{ids}"
    if len(before) != len(now):
        return f"{name}: {len(before)} batches recorded, {len(now)} made"
    others = [key for key in recorded if recorded[key] != found.get(key)]
    return "".join(
        f"{name}: {key} recorded {recorded[key]}, made {found.get(key)}; " for key in others
    )


def _ids(recorded: Stream, found: Stream, number: int) -> str:
    if number >= IN_CLEAR:
        return ""
    return f"; ids recorded {recorded['first'][number]}, made {found['first'][number]}"


def all_streams(cases: Iterable[str]) -> dict[str, Stream]:
    """Streams of cases (keys of `CASES`; ``fairseq-train NAME`` for one of `FAIRSEQ`)."""
    made: dict[str, Stream] = {}
    for case in cases:
        if case not in CASES:
            made.update(fairseq_stream(case.split()[-1]))
            continue
        for world_size in LENGTH:
            made.update(streams_of(case, world_size))
        for resized, before, after in RESIZES:
            if resized == case:
                made.update(resized_streams(case, before, after))
    return made


def case_names() -> list[str]:
    """Names of all cases, as the command line takes them."""
    return [*CASES, *(f"fairseq-train {strategy}" for strategy in FAIRSEQ)]


def load() -> dict[str, Stream]:
    """Streams recorded in `streams.json`, by name."""
    return json.loads(FILE.read_text(encoding="utf-8"))
