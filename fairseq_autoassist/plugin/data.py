"""From fairseq's data to what planning needs, with every check that can be made before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairseq import utils

from ..config import flag
from ..core.features import Features, feature_folder
from ..errors import ConfigError, FeatureError
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
        ConfigError: fewer pairs than ranks, or fairseq's own buckets
    """
    if cfg.num_batch_buckets > 0:
        raise ConfigError(
            f"--num-batch-buckets {cfg.num_batch_buckets} cannot be combined with AutoAssist, "
            "which makes the batches itself; leave it out"
        )
    if len(dataset) < ranks:
        raise ConfigError(
            f"{cfg.data} has {len(dataset)} pairs in --train-subset {cfg.train_subset}, expected "
            f"at least one for each of {ranks} ranks; {_BINARISE} {cfg.data}"
        )


def shard_of(cfg: Any, epoch: int) -> int:
    """Which of the data-bins ``a:b`` fairseq loads for an epoch, counted from 0."""
    return (epoch - 1) % len(utils.split_paths(cfg.data))


def open_features(cfg: Any, dataset: Any, epoch: int) -> tuple[str, int]:
    """Folder and dimensions of the features of the training data, after a check that they fit it.

    Args:
        cfg: of the task
        dataset: the loaded training data
        epoch: decides about the data-bin, when there are several

    Raises:
        FeatureError: missing, truncated, of another version or made from other data; the message
            names what was found, what was expected and the command that mends it
    """
    data_bins = utils.split_paths(cfg.data)
    shard = shard_of(cfg, epoch)
    languages = cfg.source_lang, cfg.target_lang
    named = utils.split_paths(cfg.autoassist_features) if cfg.autoassist_features else []
    if named and len(named) != len(data_bins):
        raise FeatureError(
            f"{flag('features')} names {len(named)} folders for {len(data_bins)} data-bins, "
            "expected one for each, joined like them"
        )
    folders = named or [feature_folder(d, cfg.train_subset, *languages) for d in data_bins]
    opened = [Features.open(folder, cfg.data) for folder in folders]
    if len({features.manifest.provenance.get("idf") for features in opened}) > 1:
        raise FeatureError(
            f"the data-bins of {cfg.data} have features of different document frequencies, "
            "expected the same, since one Assistant goes through all; build them together with: "
            f"autoassist-tfidf {cfg.data} --force"
        )
    files = open_shard(Path(data_bins[shard]), Path(data_bins[0]), cfg.train_subset, *languages)
    opened[shard].check(files.fingerprint())
    return str(folders[shard]), opened[shard].dimensions
