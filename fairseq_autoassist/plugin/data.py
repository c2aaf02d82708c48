"""From fairseq's data to what planning needs, with every check that can be made before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairseq import utils

from ..core.features import Features, feature_folder
from ..errors import ConfigError
from ..tfidf.corpus import open_shard

_BINARISE = "binarise the corpus again with: fairseq-preprocess --trainpref ... --destdir"


def refuse_empty(cfg: Any) -> None:
    """Refuse a training set without a token, which fairseq fails to map.

    Raises:
        ConfigError: names the empty file and the command that makes another
    """
    for folder in utils.split_paths(cfg.data):
        for path in sorted(Path(folder).glob(f"{cfg.train_subset}.*-*.*.bin")):
            if path.stat().st_size == 0:
                raise ConfigError(
                    f"{path} is empty: --train-subset {cfg.train_subset} has 0 pairs, expected at "
                    f"least one; {_BINARISE} {folder}"
                )


def check_sizes(dataset: Any, cfg: Any, ranks: int) -> None:
    """Refuse data that cannot be planned.

    Raises:
        ConfigError: no pairs at all, fewer than ranks, several shards, or fairseq's own buckets
    """
    paths = utils.split_paths(cfg.data)
    if len(paths) > 1:
        raise ConfigError(
            f"found {len(paths)} data-bins ({cfg.data}), expected one: translation_autoassist does "
            "not take shards yet; binarise them together, or train with --task translation"
        )
    if cfg.num_batch_buckets > 0:
        raise ConfigError(
            f"--num-batch-buckets {cfg.num_batch_buckets} cannot be combined with AutoAssist, "
            "which makes the batches itself; leave it out"
        )
    if len(dataset) < ranks:
        raise ConfigError(
            f"{paths[0]} has {len(dataset)} pairs in --train-subset {cfg.train_subset}, expected "
            f"at least one for each of {ranks} ranks; {_BINARISE} {paths[0]}"
        )


def open_features(cfg: Any, dataset: Any) -> str:
    """Folder of the features of the training data, after a check that they are of this data.

    Raises:
        FeatureError: missing, truncated, of another version or made from other data; the message
            names what was found, what was expected and the command that mends it
    """
    data_bin = utils.split_paths(cfg.data)[0]
    languages = cfg.source_lang, cfg.target_lang
    folder = cfg.autoassist_features or feature_folder(data_bin, cfg.train_subset, *languages)
    features = Features.open(folder, data_bin)
    shard = open_shard(Path(data_bin), Path(data_bin), cfg.train_subset, *languages)
    features.check(shard.fingerprint())
    return str(folder)
