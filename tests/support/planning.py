"""Small planning problems without a data-bin: sizes, features and specs."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from fairseq_autoassist.config import AutoAssistConfig
from fairseq_autoassist.core.batching import BatchLimits
from fairseq_autoassist.core.protocol import PlanSpec
from fairseq_autoassist.core.strategies.autoassist import PAPERS_RULE
from fairseq_autoassist.features.memory import SparseFeatures
from fairseq_autoassist.features.store import StoredFeatures
from fairseq_autoassist.text.lengths import pair_items


def batch_limits(most: int) -> st.SearchStrategy[BatchLimits]:
    """Limits of a batch by size (up to ``most`` tokens), by number, or by both."""
    return st.builds(
        BatchLimits,
        max_size=st.one_of(st.none(), st.integers(60, most)),
        max_items=st.one_of(st.none(), st.integers(1, 30)),
        multiple=st.sampled_from([1, 2, 8]),
    ).filter(lambda limits: limits.max_size or limits.max_items)


class MemoryFeatures(SparseFeatures):
    """Features in memory, of any matrix."""

    def __init__(self, matrix) -> None:
        super().__init__(sp.csr_array(matrix).astype(np.float32))


def make_sizes(pairs, seed=0, low=3, high=40):
    """Source and target sizes that correlate, as in real text."""
    rng = np.random.default_rng(seed)
    source = rng.integers(low, high, pairs)
    target = np.clip(source + rng.integers(-4, 5, pairs), 2, high + 4)
    return source.astype(np.int32), target.astype(np.int32)


def make_spec(pairs=500, seed=1, lag=5, limits=None, eligible=None, **settings):
    """Make a spec; ``settings`` go to its config, by default uniform, or the paper's rule."""
    rank = settings.pop("rank", 0)
    world_size = settings.pop("world_size", 1)
    chunk = settings.pop("chunk", None)
    features = settings.pop("features", None)
    settings.setdefault("strategy", "uniform")
    rule = PAPERS_RULE if settings["strategy"] == "autoassist" else {}
    limits = limits or BatchLimits(max_size=200, multiple=8)
    return PlanSpec(
        config=AutoAssistConfig(**{**rule, **settings}),
        items=pair_items(*make_sizes(pairs), limits, eligible, world_size),
        limits=limits,
        seed=seed,
        lag=lag,
        rank=rank,
        world_size=world_size,
        chunk=chunk,
        features=None if features is None else StoredFeatures(str(features)),
    )


def sizes_of(spec):
    """Source and target sizes of a spec's pairs, int64."""
    source, target = (side.astype(np.int64) for side in spec.items.lengths)
    return source, target


def tokens_of(spec):
    """Length of each of a spec's pairs, its longer side, int64."""
    return np.maximum(*sizes_of(spec))


def with_pairs(spec, source=None, target=None, eligible=None):
    """Make the spec of other pairs; without new sizes, the old ones stay."""
    sizes = sizes_of(spec) if source is None else (source, target)
    items = pair_items(*sizes, spec.limits, eligible, spec.world_size)
    return dataclasses.replace(spec, items=items)
