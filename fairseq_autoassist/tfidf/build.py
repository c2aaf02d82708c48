"""Counts tokens, weighs them as scikit-learn does, writes the features of one or more shards.

Two passes, each bounded by a chunk. The first counts the tokens of every pair and writes the
finished CSR structure with raw counts as values; the second turns counts into TF-IDF in place. So
tokens are sorted once only, and the idf can be that of all shards together.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer
from tqdm import tqdm

from ..core.features import BLOCK_NONZEROS, Features
from ..core.manifest import Fingerprint, Manifest, feature_folder, package_version
from ..errors import FeatureError
from .binarized import SPECIAL_SYMBOLS, BinarizedSide, dictionary_size, sha256_of_file
from .corpus import CHUNK_TOKENS, Shard, chunk_bounds, infer_languages, open_shard, split_shards
from .staging import publish, staging_folder
from .writer import RowWriter, value_chunks


@dataclass(frozen=True)
class TfidfSettings:
    """Arguments of scikit-learn's TfidfTransformer; idf and l2 norm are always on."""

    smooth_idf: bool = True
    sublinear_tf: bool = False

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of scikit-learn's TfidfTransformer."""
        return {"norm": "l2", "use_idf": True, **asdict(self)}


@dataclass(frozen=True)
class BuildReport:
    """What was built, or found up to date (``reused``), over all shards."""

    folders: tuple[Path, ...]
    rows: int
    dimensions: int
    nnz: int
    bytes: int
    seconds: float
    reused: bool


@dataclass(frozen=True)
class _Job:
    """Everything the passes need to know, found out before anything is written."""

    shards: tuple[Shard, ...]
    targets: tuple[Path, ...]
    languages: tuple[str, str]
    subset: str
    dimensions: tuple[int, int]  # of source and target block
    fingerprints: tuple[Fingerprint, ...]
    settings: TfidfSettings


def build_features(
    data_bin: str,
    source_lang: str | None = None,
    target_lang: str | None = None,
    subset: str = "train",
    dest: str | None = None,
    settings: TfidfSettings = TfidfSettings(),
    chunk_tokens: int = CHUNK_TOKENS,
    block_nonzeros: int = BLOCK_NONZEROS,
    force: bool = False,
    progress: bool = True,
) -> BuildReport:
    """TF-IDF features of binarised pairs, equal to scikit-learn's ``TfidfVectorizer`` per side.

    With smoothing, idf(t) = ln((1 + n) / (1 + df(t))) + 1 for n pairs of all shards, and each
    side of a pair is divided by its own l2 norm (sklearn.feature_extraction.text). Column of a
    token: its fairseq id, after all source columns for a target token. Special symbols (ids 0 to
    3) are left out: their columns stay empty.

    Args:
        data_bin: folder of fairseq-preprocess, or shards ``a:b``, which then share one idf.
        source_lang, target_lang: inferred from file names by default.
        subset: the ``--train-subset`` of training.
        dest: takes the place of ``DATA_BIN/autoassist`` (one shard only).
        chunk_tokens: tokens of both sides held in memory at once.
        block_nonzeros: most non-zeros of a block, see ``core.features``.
        force: build even what is up to date.
        progress: show progress bars on stderr.

    Raises:
        FeatureError: the data are missing, damaged, empty or of a kind that is not supported.
    """
    began = time.perf_counter()
    job = _plan(data_bin, source_lang, target_lang, subset, dest, settings)
    current = None if force else _up_to_date(job)
    if current is None:
        _write(job, chunk_tokens, block_nonzeros, progress)
    manifests = current or [Manifest.load(target) for target in job.targets]
    files = [f for target in job.targets for f in target.iterdir()]
    return BuildReport(
        folders=job.targets,
        rows=sum(m.rows for m in manifests),
        dimensions=sum(job.dimensions),
        nnz=sum(m.nnz for m in manifests),
        bytes=sum(f.stat().st_size for f in files),
        seconds=time.perf_counter() - began,
        reused=current is not None,
    )


def _plan(
    data_bin: str,
    source: str | None,
    target: str | None,
    subset: str,
    dest: str | None,
    settings: TfidfSettings,
) -> _Job:
    folders = split_shards(data_bin)
    if dest and len(folders) > 1:
        raise FeatureError("--dest takes one DATA_BIN, found several shards: leave --dest out")
    if "," in subset:
        raise FeatureError(
            f"--train-subset {subset}: found several subsets, expected one; fairseq-train trains "
            "on one: join the text before fairseq-preprocess, or make each a shard (a:b)"
        )
    source, target = infer_languages(folders[0], subset, source, target)
    shards = tuple(open_shard(folder, folders[0], subset, source, target) for folder in folders)
    sizes = (dictionary_size(shards[0].source_dict), dictionary_size(shards[0].target_dict))
    targets = tuple(feature_folder(folder, subset, source, target, dest) for folder in folders)
    prints = tuple(shard.fingerprint() for shard in shards)
    return _Job(shards, targets, (source, target), subset, sizes, prints, settings)


def _up_to_date(job: _Job) -> list[Manifest] | None:
    """Manifests of the features in place, if they are what a build would write; else None.

    The tokens are hashed as well: a changed corpus can have the same sizes.
    """
    manifests = []
    for target, wanted in zip(job.targets, job.fingerprints):
        try:
            features = Features.open(target)
            features.check(wanted)
        except FeatureError:
            return None
        manifests.append(features.manifest)
    documents = sum(m.rows for m in manifests)
    for shard, manifest in zip(job.shards, manifests):
        provenance = manifest.provenance
        same_group = provenance.get("documents") == documents
        same_idf = provenance.get("idf") == manifests[0].provenance.get("idf")
        if not (same_group and same_idf and manifest.settings == job.settings.arguments()):
            return None
        sides = (shard.source.data_path, shard.target.data_path)
        if provenance.get("tokens") != [sha256_of_file(path) for path in sides]:
            return None
    return manifests


def _write(job: _Job, chunk_tokens: int, block_nonzeros: int, progress: bool) -> None:
    """Both passes over all shards, then the renames."""
    pairs = sum(shard.rows for shard in job.shards)
    frequencies = np.zeros(sum(job.dimensions), dtype=np.int64)
    with ExitStack() as stack:
        folders = [stack.enter_context(staging_folder(target)) for target in job.targets]
        writers, hashes = [], []
        with tqdm(total=pairs, desc="counting", unit="pair", disable=not progress) as bar:
            for shard, folder in zip(job.shards, folders):
                with RowWriter(folder, block_nonzeros) as writer:
                    counter = _Counter(shard, job.dimensions, frequencies)
                    for start, stop in chunk_bounds(shard, chunk_tokens):
                        writer.append(*counter.count(start, stop))
                        bar.update(stop - start)
                writers.append(writer)
                hashes.append([digest.hexdigest() for digest in counter.digests])
        weights = inverse_document_frequency(frequencies, pairs, job.settings.smooth_idf)
        transformer = TfidfTransformer(**job.settings.arguments())
        transformer.idf_ = weights
        with tqdm(total=pairs, desc="weighting", unit="pair", disable=not progress) as bar:
            for writer in writers:
                for chunk in value_chunks(writer, chunk_tokens):
                    # Source and target of a pair are two documents here: each gets its own norm.
                    arrays = (chunk.data, chunk.indices, chunk.half_offsets.astype(np.int32))
                    halves = sp.csr_array(arrays, shape=(2 * chunk.rows, len(weights)))
                    chunk.data[:] = transformer.transform(halves, copy=False).data
                    bar.update(chunk.rows)
        provenance = {
            "documents": pairs,
            "shards": len(job.shards),
            "idf": hashlib.sha256(weights.astype("<f8").tobytes()).hexdigest(),
        }
        for number, writer in enumerate(writers):
            extra = {**provenance, "tokens": hashes[number]}
            _manifest(job, number, writer, extra).save(writer.folder)
        for folder, target in zip(folders, job.targets):
            publish(folder, target)


def _manifest(job: _Job, number: int, writer: RowWriter, provenance: dict[str, Any]) -> Manifest:
    return Manifest(
        rows=sum(writer.blocks),
        dimensions=sum(job.dimensions),
        source_dimensions=job.dimensions[0],
        nnz=sum(writer.block_nonzeros),
        blocks=tuple(writer.blocks),
        block_nonzeros=tuple(writer.block_nonzeros),
        fingerprint=job.fingerprints[number],
        subset=job.subset,
        source_lang=job.languages[0],
        target_lang=job.languages[1],
        settings=job.settings.arguments(),
        provenance=provenance,
        package_version=package_version(),
    )


def inverse_document_frequency(frequencies: np.ndarray, documents: int, smooth: bool) -> np.ndarray:
    """scikit-learn's idf: ln((n + s) / (df + s)) + 1, with s = 1 if ``smooth`` else 0.

    Args:
        frequencies: int64 (dimensions,), documents that hold each token.

    Returns:
        float64 (dimensions,). A token in no document gets df = 1 where its idf would be infinite.
    """
    df = frequencies + int(smooth)
    return np.log((documents + int(smooth)) / np.maximum(df, 1)) + 1.0


class _Counter:
    """Token counts of a shard's pairs; adds to ``frequencies`` and hashes the tokens it reads."""

    def __init__(self, shard: Shard, dimensions: tuple[int, int], frequencies: np.ndarray) -> None:
        self.sides = (shard.source, shard.target)
        self.dimensions = dimensions
        cut = dimensions[0]
        self.frequencies = (frequencies[:cut], frequencies[cut:])  # views: counted into place
        self.digests = (hashlib.sha256(), hashlib.sha256())

    def count(self, start: int, stop: int) -> tuple[sp.csr_array, np.ndarray]:
        """CSR counts float32 (stop - start, dimensions) of pairs [start, stop), and how many
        non-zeros of each row (stop - start,) are the source's."""
        source, target = (self._count_side(i, start, stop) for i in (0, 1))
        both = sp.hstack([source, target], format="csr")
        return both, np.diff(source.indptr)

    def _count_side(self, i: int, start: int, stop: int) -> sp.csr_array:
        tokens, offsets = self.sides[i].read(start, stop)
        self.digests[i].update(tokens.data)
        self._check_tokens(tokens, self.sides[i], self.dimensions[i])
        kept = tokens >= SPECIAL_SYMBOLS
        columns = tokens[kept].astype(np.int32)
        # Every sentence loses as many tokens as it has special symbols.
        before = np.zeros(len(tokens) + 1, dtype=np.int32)
        np.cumsum(kept, out=before[1:])
        ones = np.ones(len(columns), dtype=np.float32)
        shape = (stop - start, self.dimensions[i])
        counts = sp.csr_array((ones, columns, before[offsets]), shape=shape)
        counts.sum_duplicates()
        self.frequencies[i][:] += np.bincount(counts.indices, minlength=self.dimensions[i])
        return counts

    @staticmethod
    def _check_tokens(tokens: np.ndarray, side: BinarizedSide, size: int) -> None:
        if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < size:
            raise FeatureError(
                f"{side.data_path}: found token ids {tokens.min()} to {tokens.max()}, expected 0 "
                f"to {size - 1} from its dictionary; run fairseq-preprocess again"
            )
