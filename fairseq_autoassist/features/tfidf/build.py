"""Build of TF-IDF features of one or more data-bins (shards), as scikit-learn weighs them.

It makes two passes with the memory of a chunk. The first counts the tokens of every pair and writes
the CSR structure with counts as values (`counting`). The second turns counts into TF-IDF
(`weighing`). So tokens are sorted once, and the idf is that of all shards together. Between the
passes counts per token are added up here. They are integers, so the result does not depend on the
order, nor on how shards are cut into parts for workers.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ...text.corpus import CHUNK_TOKENS
from ...text.fingerprint import sha256_of_file
from ...text.rarity import token_surprise
from ..agreement.files import NAMES as AGREED
from ..commands import build_command, side_command
from ..manifest import Manifest, package_version
from ..staging import named_if_refused, publish, staging_folder
from ..store import BLOCK_NONZEROS
from ..workers import Crew, crew_of
from .counting import count_part
from .job import SETTINGS, Job, plan_job, up_to_date
from .parts import Part, shard_parts
from .weighing import WEIGHTS_NAME, inverse_document_frequency, join_parts, weigh_part
from .writer import Blocks

PARTS_PER_WORKER = 4
PART_TOKENS = 50_000_000  # most tokens of a part, which a lost worker costs, and a step of progress


@dataclass(frozen=True)
class BuildReport:
    """Result of a build over all shards; ``reused``: the features were up to date.

    Where the build removed a prior of autoassist-agreement, ``agreement_command`` makes it again;
    otherwise it is empty.
    """

    folders: tuple[Path, ...]
    rows: int
    dimensions: int
    nnz: int
    bytes: int
    seconds: float
    reused: bool
    agreement_command: str


def build_features(
    data_bin: str,
    source_lang: str | None = None,
    target_lang: str | None = None,
    subset: str = "train",
    dest: str | None = None,
    chunk_tokens: int = CHUNK_TOKENS,
    block_nonzeros: int = BLOCK_NONZEROS,
    force: bool = False,
    progress: bool = True,
    workers: int = 1,
    backend: str | None = None,
) -> BuildReport:
    """Build TF-IDF features of pairs, equal to scikit-learn's ``TfidfVectorizer`` per side.

    idf(t) = ln((1 + n) / (1 + df(t))) + 1 for n pairs of all shards. Each
    side of a pair is divided by its own l2 norm (sklearn.feature_extraction.text). The column of a
    token is its fairseq id; target columns come after all source columns. Columns of special
    symbols (ids 0 to 3) are empty.

    Args:
        data_bin: folder of fairseq-preprocess, or shards ``a:b``, which then share one idf.
        source_lang, target_lang: inferred from file names by default.
        subset: the ``--train-subset`` of training.
        dest: replaces ``DATA_BIN/autoassist`` (for one shard only).
        chunk_tokens: tokens of both sides held in memory at once.
        block_nonzeros: most non-zeros of a block, see ``features.store``.
        force: build even if the features are up to date.
        progress: show progress bars on stderr.
        workers: processes that share the work; the result is the same to the bit.
        backend: of joblib, which runs the workers: see ``workers.crew_of``.

    Raises:
        FeatureError: the data are missing, damaged, empty or not supported; the backend is not
            available, or one of its workers died.
    """
    began = time.perf_counter()
    where = (data_bin, source_lang, target_lang, subset, dest)
    job = plan_job(where, chunk_tokens, block_nonzeros)
    current = None if force else up_to_date(job)
    lost = current is None and any((t / name).is_file() for t in job.targets for name in AGREED)
    if current is None:
        with crew_of(workers, backend, progress) as crew:
            _write(job, crew)
    manifests = current or [Manifest.load(target) for target in job.targets]
    files = [f for target in job.targets for f in target.iterdir()]
    command = build_command(data_bin, subset, job.languages, dest)
    return BuildReport(
        folders=job.targets,
        rows=sum(m.rows for m in manifests),
        dimensions=sum(job.dimensions),
        nnz=sum(m.nnz for m in manifests),
        bytes=sum(f.stat().st_size for f in files),
        seconds=time.perf_counter() - began,
        reused=current is not None,
        agreement_command=side_command("autoassist-agreement", command) if lost else "",
    )


def _write(job: Job, crew: Crew) -> None:
    """Make both passes over all shards, then rename the folders."""
    documents = sum(shard.rows for shard in job.shards)
    with ExitStack() as stack:
        folders = [stack.enter_context(staging_folder(target)) for target in job.targets]
        stack.enter_context(named_if_refused(job.targets))
        shards = _cut(job, folders, crew.count)
        hashes = hash_tokens(job, crew)
        blocks, frequencies, unigrams = _count(job, shards, crew)
        idf = inverse_document_frequency(frequencies, documents)
        weights = shards[0][0].folder.parent / WEIGHTS_NAME  # a file: workers may be elsewhere
        np.savez(weights, idf=idf, surprise=token_surprise(unigrams))
        parts = [part for some in shards for part in some]
        tasks = [(part, some, weights) for part, some in zip(parts, blocks)]
        for _ in crew.run("weighting", weigh_part, tasks, [part.rows for part in parts]):
            pass
        weights.unlink()
        joined = _join(shards, blocks, crew)
        provenance = {
            "documents": documents,
            "shards": len(job.shards),
            "idf": hashlib.sha256(idf.astype("<f8").tobytes()).hexdigest(),
            "unigrams": hashlib.sha256(unigrams.astype("<i8").tobytes()).hexdigest(),
        }
        for number, folder in enumerate(folders):
            extra = {**provenance, "tokens": hashes[number]}
            _manifest(job, number, joined[number], extra).save(folder)
        for folder, target in zip(folders, job.targets):
            publish(folder, target)


def _cut(job: Job, folders: Sequence[Path], workers: int | None) -> list[list[Part]]:
    """Cut each shard into parts, several for each worker, so that all end at about one time."""
    part_tokens = None
    if workers is not None:
        tokens = sum(shard.source.tokens + shard.target.tokens for shard in job.shards)
        even = min(tokens // (PARTS_PER_WORKER * workers) + 1, PART_TOKENS)
        part_tokens = max(even, job.chunk_tokens)
    limits = (part_tokens, job.chunk_tokens, job.block_nonzeros)
    return [
        shard_parts(shard, job.dimensions, folder, *limits)
        for shard, folder in zip(job.shards, folders)
    ]


def hash_tokens(job: Job, crew: Crew) -> list[list[str]]:
    """Sha256 of source and target tokens of each shard."""
    sides = [side for shard in job.shards for side in (shard.source, shard.target)]
    paths = [side.data_path.absolute() for side in sides]
    sizes = [path.stat().st_size for path in paths]
    found = dict(crew.run("hashing", sha256_of_file, [(path,) for path in paths], sizes, "B"))
    return [[found[n], found[n + 1]] for n in range(0, len(paths), 2)]


def _count(
    job: Job, shards: Sequence[Sequence[Part]], crew: Crew
) -> tuple[list[Blocks], np.ndarray, np.ndarray]:
    """Count the tokens of every part.

    Returns:
        blocks of every part; document frequencies, int64 (dimensions,), and occurrences of each
        source token, int64 (source dimensions,), over all shards
    """
    parts = [part for some in shards for part in some]
    frequencies = np.zeros(sum(job.dimensions), dtype=np.int64)
    unigrams = np.zeros(job.dimensions[0], dtype=np.int64)
    blocks = {}
    rows = [part.rows for part in parts]
    for number, counts in crew.run("counting", count_part, [(part,) for part in parts], rows):
        frequencies += counts.frequencies
        unigrams += counts.unigrams
        blocks[number] = counts.blocks
    return [blocks[number] for number in range(len(parts))], frequencies, unigrams


def _join(shards: Sequence[Sequence[Part]], blocks: Sequence[Blocks], crew: Crew) -> list[Blocks]:
    """Join the parts of each shard, whose blocks are ``blocks``; returns those of the features."""
    rest = iter(blocks)
    tasks = [(parts, [next(rest) for _ in parts]) for parts in shards]
    rows = [sum(part.rows for part in parts) for parts in shards]
    joined = dict(crew.run("joining", join_parts, tasks, rows))
    return [joined[number] for number in range(len(shards))]


def _manifest(job: Job, number: int, blocks: Blocks, provenance: dict[str, Any]) -> Manifest:
    return Manifest(
        rows=sum(blocks.rows),
        dimensions=sum(job.dimensions),
        source_dimensions=job.dimensions[0],
        nnz=sum(blocks.nonzeros),
        blocks=blocks.rows,
        block_nonzeros=blocks.nonzeros,
        fingerprint=job.fingerprints[number],
        subset=job.subset,
        source_lang=job.languages[0],
        target_lang=job.languages[1],
        settings=SETTINGS,
        provenance=provenance,
        package_version=package_version(),
    )
