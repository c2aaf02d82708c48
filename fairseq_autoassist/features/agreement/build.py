"""Judge every pair of one or more data-bins, and write the prior beside their features."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ...text.corpus import CHUNK_TOKENS, Shard
from ..commands import build_command
from ..manifest import package_version
from ..staging import named_if_refused, staging_folder
from ..store import BLOCK_NONZEROS, Features
from ..tfidf.build import hash_tokens
from ..tfidf.job import Job, plan_job
from ..workers import Crew, crew_of
from .learning import ROUNDS, SAMPLE, draw, learn_judge
from .passes import CHUNK, POWER, Judge, Verdict, judge_pairs
from .reading import side_paths
from .report import histogram, told_of
from .statistics import BINS, NAMES, read_vocabulary
from .writing import Written, publish

LEAST_PAIRS = 1000  # fewer are not enough to learn from: every prior is 1


@dataclass(frozen=True)
class AgreementReport:
    """Result of a build, over all data-bins.

    Attributes:
        folders: of the features, which hold it
        prior: of each pair, float32 (pairs,), data-bin after data-bin
        low: lower information of both directions, nats per piece, float32 (pairs,)
        told: part of agreement.json about all pairs
        shards: the data-bins
        seconds: duration
    """

    folders: tuple[Path, ...]
    prior: np.ndarray
    low: np.ndarray
    told: dict[str, Any]
    shards: tuple[Shard, ...]
    seconds: float


def build_agreement(
    data_bin: str,
    source_lang: str | None = None,
    target_lang: str | None = None,
    subset: str = "train",
    dest: str | None = None,
    sample: int = SAMPLE,
    progress: bool = True,
    workers: int = 1,
    backend: str | None = None,
) -> AgreementReport:
    """Write the prior of every pair, and the bins of its statistics, beside the features.

    Args:
        data_bin: folder of fairseq-preprocess, or ``a:b``, which are learned from together
        source_lang, target_lang: inferred from file names by default
        subset: the ``--train-subset`` of training
        dest: the ``--dest`` of autoassist-tfidf
        sample: pairs to learn from, at most
        progress: show progress bars on stderr
        workers: processes that share the work; the result is the same to the bit
        backend: of joblib, which runs the workers: see ``features.workers.crew_of``

    Raises:
        FeatureError: the data are missing, damaged, empty or the same on both sides; their
            features are missing or of other data; the backend failed
    """
    began = time.perf_counter()
    where = (data_bin, source_lang, target_lang, subset, dest)
    job = plan_job(where, CHUNK_TOKENS, BLOCK_NONZEROS)
    command = build_command(data_bin, subset, job.languages, dest)
    with crew_of(workers, backend, progress) as crew, ExitStack() as stack:
        hashes = _checked_features(job, command, crew)
        beside = [target / "agreement" for target in job.targets]
        places = [stack.enter_context(staging_folder(name)) for name in beside]
        stack.enter_context(named_if_refused(beside))
        scratch = places[0]
        judge, verdicts = None, [_certain(shard.rows) for shard in job.shards]
        if sum(shard.rows for shard in job.shards) >= LEAST_PAIRS:
            judge = _learned(job, sample, scratch, crew)
            verdicts = _judged(job, judge, crew)
        groups = None if judge is None else judge.groups
        told = told_of(verdicts, groups, job.languages)
        about = {**told, "settings": {"sample": sample, "rounds": ROUNDS}}
        picture = histogram(np.concatenate([v.low for v in verdicts]), groups, scratch)
        for one, place in zip(_written(job, verdicts, hashes, about), places):
            publish(one, picture, place)
    return AgreementReport(
        job.targets,
        np.concatenate([v.prior for v in verdicts]),
        np.concatenate([v.low for v in verdicts]),
        told,
        job.shards,
        time.perf_counter() - began,
    )


def _checked_features(job: Job, command: str, crew: Crew) -> list[list[str]]:
    """Check the features of each data-bin; returns sha256 of the tokens of both sides.

    Raises:
        FeatureError: features are missing, or of other tokens
    """
    opened = [Features.open(target, command) for target in job.targets]
    hashes = hash_tokens(job, crew)
    for features, expected, tokens in zip(opened, job.fingerprints, hashes):
        features.check(expected, tokens)
    return hashes


def _learned(job: Job, sample: int, scratch: Path, crew: Crew) -> Judge:
    first = job.shards[0]
    vocabulary = read_vocabulary(first.source_dict, first.target_dict)
    pairs, runs = draw(job.shards, sample, vocabulary)
    return learn_judge(pairs, runs, vocabulary, scratch, crew)


def _judged(job: Job, judge: Judge, crew: Crew) -> list[Verdict]:
    """Judge all pairs of each data-bin."""
    tasks = [
        (side_paths(shard), start, min(start + CHUNK, shard.rows), judge)
        for shard in job.shards
        for start in range(0, shard.rows, CHUNK)
    ]
    found = dict(crew.run("judging", judge_pairs, tasks, [task[2] - task[1] for task in tasks]))
    verdicts, first = [], 0
    for shard in job.shards:
        count = -(-shard.rows // CHUNK)
        parts = [found[first + n] for n in range(count)]
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Verdict._fields
            if name != "wrong"
        }
        wrong = np.concatenate([part.wrong for part in parts], axis=1)
        verdicts.append(Verdict(**joined, wrong=wrong))
        first += count
    return verdicts


def _written(
    job: Job, verdicts: Sequence[Verdict], hashes: list[list[str]], about: dict[str, Any]
) -> list[Written]:
    """Make what goes into the folder of each data-bin."""
    about = {
        **about,
        "statistics": list(NAMES),
        "bins": BINS,
        "power": POWER,
        "package_version": package_version(),
    }
    return [
        Written(
            target, verdict.prior, verdict.codes, {**about, "fingerprint": asdict(of), "tokens": t}
        )
        for target, verdict, of, t in zip(job.targets, verdicts, job.fingerprints, hashes)
    ]


def _certain(rows: int) -> Verdict:
    """Verdict for too few pairs: every prior is 1."""
    return Verdict(
        np.ones(rows, dtype=np.float32),
        np.zeros((rows, len(NAMES)), dtype=np.uint8),
        np.zeros(rows, dtype=np.float32),
        np.zeros(rows, dtype=bool),
        np.zeros((2, rows), dtype=bool),
    )
