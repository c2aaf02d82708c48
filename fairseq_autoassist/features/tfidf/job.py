"""Job of a build, planned before anything is written, and a check whether it is done already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import FeatureError
from ...text.binarized import dictionary_size
from ...text.corpus import Shard, infer_languages, open_shard, split_shards
from ...text.fingerprint import Fingerprint, sha256_of_file
from ..commands import feature_folder
from ..manifest import Manifest
from ..store import Features

# keyword arguments of scikit-learn's TfidfTransformer, which the manifest names
SETTINGS = {"norm": "l2", "use_idf": True, "smooth_idf": True, "sublinear_tf": False}


@dataclass(frozen=True)
class Job:
    """Everything that the passes need, checked before anything is written."""

    shards: tuple[Shard, ...]
    targets: tuple[Path, ...]
    languages: tuple[str, str]
    subset: str
    dimensions: tuple[int, int]  # of source and target block
    fingerprints: tuple[Fingerprint, ...]
    chunk_tokens: int
    block_nonzeros: int


def plan_job(
    where: tuple[str, str | None, str | None, str, str | None],
    chunk_tokens: int,
    block_nonzeros: int,
) -> Job:
    """Open and check the data.

    Args:
        where: data_bin, source_lang, target_lang, subset and dest of ``build.build_features``; the
            other arguments are described there.

    Raises:
        FeatureError: the data are missing, damaged, empty or not supported.
    """
    data_bin, source, target, subset, dest = where
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
    about = (source, target), subset, sizes, prints
    return Job(shards, targets, *about, chunk_tokens, block_nonzeros)


def up_to_date(job: Job) -> list[Manifest] | None:
    """Manifests of the existing features if a build would write the same; otherwise None.

    The tokens are hashed too, since another corpus can have the same sizes.
    """
    manifests = []
    for target, wanted in zip(job.targets, job.fingerprints):
        try:
            features = Features.open(target)
            features.check(wanted)
            _ = features.rarity  # checked on its first use only
        except FeatureError:
            return None
        manifests.append(features.manifest)
    documents = sum(m.rows for m in manifests)
    for shard, manifest in zip(job.shards, manifests):
        provenance = manifest.provenance
        same_group = provenance.get("documents") == documents
        same_counts = all(
            provenance.get(key) == manifests[0].provenance.get(key) for key in ("idf", "unigrams")
        )
        if not (same_group and same_counts and manifest.settings == SETTINGS):
            return None
        sides = (shard.source.data_path, shard.target.data_path)
        if provenance.get("tokens") != [sha256_of_file(path) for path in sides]:
            return None
    return manifests
