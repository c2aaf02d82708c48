"""From fairseq's data to what planning needs, with every check that can be made before training."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from fairseq import utils

from ..config import flag
from ..errors import ConfigError, FeatureError
from ..features.binned import Codes
from ..features.commands import FEATURES_FOLDER, build_command, feature_folder
from ..features.manifest import MANIFEST_NAME
from ..features.store import Features, StoredFeatures
from ..text.corpus import Shard, first_places, open_shard

_BINARISE = "binarise the corpus again with: fairseq-preprocess --trainpref ... --destdir"


def refuse_empty(cfg: Any) -> None:
    """Refuse a training set without a token, which fairseq fails to map.

    Raises:
        ConfigError: names the empty file and the command that makes another
    """
    one, other = cfg.source_lang or "*", cfg.target_lang or "*"
    for folder in utils.split_paths(cfg.data):
        names = [
            f"{cfg.train_subset}.{pair}.*.bin" for pair in (f"{one}-{other}", f"{other}-{one}")
        ]
        for path in sorted(path for name in names for path in Path(folder).glob(name)):
            if path.stat().st_size == 0:
                raise ConfigError(
                    f"{path} is empty: --train-subset {cfg.train_subset} has 0 pairs, expected at "
                    f"least one; {_BINARISE} {folder}"
                )


def refuse_unplannable(dataset: Any, cfg: Any, ranks: int) -> None:
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


def refuse_endless(cfg: Any, run_length: str) -> None:
    """Refuse a run of unknown length where a setting is a share of it.

    Args:
        run_length: the setting, as `Needs` has it; empty: there is none

    Raises:
        ConfigError: names the setting and what to give
    """
    if run_length and cfg.max_update <= 0 and cfg.max_epoch <= 0:
        raise ConfigError(
            f"{run_length} is measured against the length of the run, which is not limited; give "
            "--max-update or --max-epoch"
        )


def shard_of(cfg: Any, epoch: int) -> int:
    """Which of the data-bins ``a:b`` fairseq loads for an epoch, counted from 0."""
    return (epoch - 1) % len(utils.split_paths(cfg.data))


def counts_on(cfg: Any) -> bool:
    """Whether the trainer's count of updates goes on, though nothing tells the stream from where.

    It does under --reset-dataloader, unless fairseq finds no checkpoint (by its own rule: the
    default name is looked for in --save-dir, with a suffix where the state is sharded, and then
    what --continue-once names) or is told to begin the optimizer, and with it the count, anew.
    """
    if not cfg.reset_dataloader or cfg.reset_optimizer:
        return False
    if cfg.restore_file != "checkpoint_last.pt" or getattr(cfg, "continue_once", None):
        return True
    return any(Path(cfg.save_dir).glob("checkpoint_last*.pt"))


class OpenedFeatures(NamedTuple):
    """Features found fit: their folder, number of dimensions, a hash of what they hold, and the
    bins that become features too."""

    folder: str | None
    dimensions: int
    hash: str
    codes: Codes | None = None

    @property
    def stored(self) -> StoredFeatures | None:
        """What the worker opens; None: nothing."""
        return None if self.folder is None else StoredFeatures(self.folder, self.codes)


NONE = OpenedFeatures(None, 0, "")  # for strategies that look at none


class Places(NamedTuple):
    """Where the features of all data-bins lie.

    Attributes:
        folders: of the features, one to a data-bin
        command: that builds them
        named: how many folders the user named
    """

    folders: list[Path]
    command: str
    named: int


def places(cfg: Any) -> Places:
    """Where the features of a task's data-bins are, or would be.

    Raises:
        FeatureError: there is not one folder for each data-bin
    """
    data_bins = utils.split_paths(cfg.data)
    languages = cfg.source_lang, cfg.target_lang
    named = utils.split_paths(cfg.autoassist_features) if cfg.autoassist_features else []
    roots = one_for_each(named, data_bins)
    if named and not roots:
        raise FeatureError(
            f"{flag('features')} names {len(named)} folders for {len(data_bins)} data-bins, "
            "expected one for each, joined like them"
        )
    folders = [feature_folder(d, cfg.train_subset, *languages) for d in data_bins]
    dest, name = None, folders[0].name
    if named:
        folders = [_named_folder(Path(root), name) for root in roots]
    if len(named) == 1:
        dest = folders[0].parent if folders[0].name == name else folders[0]
    command = build_command(cfg.data, cfg.train_subset, languages, dest)
    return Places(folders, command, len(named))


def one_for_each(named: list[str], data_bins: list[str]) -> list[str]:
    """What belongs to each data-bin of a list, in which one may come up again.

    Args:
        named: one for each, or one for each that differs from those before it

    Returns:
        one for each data-bin; empty: there are too many or too few
    """
    if len(named) == len(data_bins):
        return named
    first = first_places([Path(data_bin) for data_bin in data_bins])
    different = sorted(set(first))
    return [named[different.index(n)] for n in first] if len(named) == len(different) else []


def repeat_of(cfg: Any, shard: int) -> int:
    """How many data-bins before this one in the list are the same, or a copy of it.

    Each time it comes up its pairs are to come in another order.
    """
    data_bins = [Path(data_bin) for data_bin in utils.split_paths(cfg.data)]
    first = first_places(data_bins)
    text = text_of(cfg, shard) if shard else ""
    return sum(
        first[n] == first[shard] or (text != "" and text_of(cfg, n) == text) for n in range(shard)
    )


def shard_files(cfg: Any, shard: int) -> Shard:
    """The training pairs of a data-bin, as they lie on disk."""
    data_bins = utils.split_paths(cfg.data)
    languages = cfg.source_lang, cfg.target_lang
    return open_shard(Path(data_bins[shard]), Path(data_bins[0]), cfg.train_subset, *languages)


def text_of(cfg: Any, shard: int) -> str:
    """What tells the text of a data-bin from other text of the same sizes; empty: not known.

    It is known of mmap data only. A strategy that looks at no features trains on others too.
    """
    try:
        hashes = shard_files(cfg, shard).token_hashes()
    except FeatureError:
        return ""
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def open_features(cfg: Any, epoch: int, codes: Codes | None = None) -> OpenedFeatures:
    """The features of the training data, after a check that they fit it.

    Args:
        cfg: of the task
        epoch: decides about the data-bin, when there are several
        codes: bins of statistics that become features too; found fit already

    Raises:
        FeatureError: missing, truncated, of another version or made from other data; the message
            names what was found, what was expected and the command that mends it
    """
    where, shard = places(cfg), shard_of(cfg, epoch)
    try:
        opened = Features.open_all(where.folders, where.command)
        for number, features in enumerate(opened):  # of all, before the first is trained on
            files = shard_files(cfg, number)
            features.check(files.fingerprint(), files.token_hashes())
            features.rarity  # noqa: B018 (now, not in the worker in the middle of the run)
    except FeatureError as error:
        if where.named > 1:  # the command builds several inside their data-bins
            raise FeatureError(f"{error}, and leave {flag('features')} out") from error
        raise
    manifest = opened[shard].manifest
    facts = [manifest.provenance.get("idf"), manifest.settings]
    dimensions = manifest.dimensions
    if codes is not None:
        facts.append([codes.statistics, codes.bins])
        dimensions += codes.columns
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    return OpenedFeatures(str(where.folders[shard]), dimensions, digest, codes)


def _named_folder(root: Path, name: str) -> Path:
    """The folder of features in what was --dest of autoassist-tfidf or is a data-bin, or ``root``
    itself."""
    inside = root / name
    itself = root.name == name or (root / MANIFEST_NAME).is_file()
    if not inside.is_dir() and any(root.glob("dict.*.txt")):
        return root / FEATURES_FOLDER / name
    return root if itself and not inside.is_dir() else inside
