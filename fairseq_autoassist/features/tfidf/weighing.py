"""Second pass: the counts of a part -> TF-IDF and rarity; then the parts of a shard -> features."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer

from ...errors import FeatureError
from ...text.binarized import UNKNOWN
from ..files import block_files
from ..store import RARITY_NAME
from ..workers import Done
from .job import SETTINGS
from .parts import Part
from .writer import Blocks, RowWriter, block_rows, value_chunks, weights_file

WEIGHTS_NAME = "weights.npz"


def inverse_document_frequency(frequencies: np.ndarray, documents: int) -> np.ndarray:
    """Give scikit-learn's idf, float64 (dimensions,): ln((1 + n) / (1 + df)) + 1.

    Args:
        frequencies: int64 (dimensions,), number of documents with each token.
    """
    return np.log((documents + 1) / (frequencies + 1)) + 1.0


def weigh_part(
    part: Part,
    blocks: Blocks,
    weights: Path,
    done: Done = lambda pairs: None,
) -> None:
    """Turn the counts in ``part.folder`` into TF-IDF values and rarity, in files beside them.

    The counts do not change, so a cluster may run this twice.

    Args:
        weights: npz file of ``idf`` (dimensions,) and ``surprise`` (source dimensions,).
    """
    with np.load(weights) as stored:
        idf, surprise = stored["idf"], stored["surprise"]
    by_column = np.zeros(len(idf))
    by_column[: len(surprise)] = surprise
    transformer = TfidfTransformer(**SETTINGS)
    transformer.idf_ = idf
    folder = Path(tempfile.mkdtemp(prefix="weights.", dir=part.folder))
    with ExitStack() as stack:
        rarity = stack.enter_context(open(folder / RARITY_NAME, "wb"))
        values = [
            stack.enter_context(open(weights_file(folder, b), "wb"))
            for b in range(len(blocks.rows))
        ]
        for chunk in value_chunks(part.folder, blocks, part.chunk_tokens):
            if not folder.exists():
                raise FeatureError("the build was given up: its folder is gone")
            # Source and target of a pair are two documents here, each with its own norm.
            arrays = (chunk.data, chunk.indices, chunk.half_offsets.astype(np.int32))
            # a matrix: scikit-learn before 1.4 multiplies arrays with * element by element
            halves = sp.csr_matrix(arrays, shape=(2 * chunk.rows, len(idf)))
            sums = (halves @ by_column)[::2] + chunk.unknown * surprise[UNKNOWN]
            rarity.write(sums.astype("<f4").data)
            weighed = transformer.transform(halves, copy=False)
            # scikit-learn before 1.4 changes the order of entries in a row
            weighed.sort_indices()
            values[chunk.block].write(weighed.data.astype("<f4", copy=False).data)
            done(chunk.rows)
    for path in folder.iterdir():
        path.replace(part.folder / path.name)
    folder.rmdir()


def join_parts(
    parts: Sequence[Part], blocks: Sequence[Blocks], done: Done = lambda pairs: None
) -> Blocks:
    """Join the weighed parts of one shard to its features, in the folder around them.

    Each part is removed after its copy, which saves disk space. The bounds of blocks depend on the
    rows alone, not on the parts.

    Args:
        blocks: of each part.

    Returns:
        Blocks of the features.
    """
    if len(parts) == 1:
        _move_part(parts[0].folder, len(blocks[0].rows))
        done(parts[0].rows)
        return blocks[0]
    target = parts[0].folder.parent
    with ExitStack() as stack:
        writer = stack.enter_context(RowWriter(target, parts[0].block_nonzeros))
        rarity = stack.enter_context(open(target / RARITY_NAME, "wb"))
        for part, its in zip(parts, blocks):
            for rows in block_rows(part.folder, its, sum(part.dimensions), part.chunk_tokens):
                writer.append(rows)
                done(rows.shape[0])
            with open(part.folder / RARITY_NAME, "rb") as source:
                shutil.copyfileobj(source, rarity)
            shutil.rmtree(part.folder)
    return writer.written()


def _move_part(folder: Path, blocks: int) -> None:
    target = folder.parent
    for b in range(blocks):
        here, there = block_files(folder, b), block_files(target, b)
        here.indptr.rename(there.indptr)
        here.indices.rename(there.indices)
        weights_file(folder, b).rename(there.data)
    (folder / RARITY_NAME).rename(target / RARITY_NAME)
    shutil.rmtree(folder)
