"""Data-bins and features of a run, with every check that is possible before training."""

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
    """Refuse a training set without a token, which fairseq cannot map.

    Raises:
        ConfigError: the message names the empty file and the command that mends it
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
        ConfigError: there are fewer pairs than ranks, or --num-batch-buckets is given
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
    """Refuse a run of unknown length where an option is a share of it.

    Args:
        run_length: the option, as `Needs` has it; empty: there is none

    Raises:
        ConfigError: the message names the option and what to give
    """
    if run_length and cfg.max_update <= 0 and cfg.max_epoch <= 0:
        raise ConfigError(
            f"{run_length} is a share of the length of the run, which is not limited; give "
            "--max-update or --max-epoch"
        )


def shard_of(cfg: Any, epoch: int) -> int:
    """Number of the data-bin of ``a:b`` that fairseq loads for an epoch, counted from 0."""
    return (epoch - 1) % len(utils.split_paths(cfg.data))


def counts_on(cfg: Any) -> bool:
    """Tell whether the trainer's count of updates goes on while the stream begins again.

    It does so under --reset-dataloader, unless --reset-optimizer resets the count or fairseq finds
    no checkpoint. fairseq looks in --save-dir for the default name, with a suffix where the state
    is sharded, then for what --continue-once names.
    """
    if not cfg.reset_dataloader or cfg.reset_optimizer:
        return False
    if cfg.restore_file != "checkpoint_last.pt" or getattr(cfg, "continue_once", None):
        return True
    return any(Path(cfg.save_dir).glob("checkpoint_last*.pt"))


class OpenedFeatures(NamedTuple):
    """Features that fit the data.

    Attributes:
        folder: of the features; None: there are none
        dimensions: number of features, with the bins
        hash: of what their values in all data-bins are made of, beside the text
        codes: bins that become features too; None: there are none
        command: that builds them; None: there are none
    """

    folder: str | None
    dimensions: int
    hash: str
    codes: Codes | None = None
    command: str | None = None

    @property
    def stored(self) -> StoredFeatures | None:
        """Features that the worker opens; None: there are none."""
        if self.folder is None:
            return None
        return StoredFeatures(self.folder, self.codes, self.command)


NONE = OpenedFeatures(None, 0, "")  # for strategies that need none


class Places(NamedTuple):
    """Folders of the features of all data-bins.

    Attributes:
        folders: of the features, one to a data-bin
        command: that builds them
        named: how many folders the user named
    """

    folders: list[Path]
    command: str
    named: int

    @property
    def besides(self) -> str:
        """What a message says after the command; empty: nothing.

        Where the user named several folders, the command builds inside the data-bins.
        """
        return f", and leave {flag('features')} out" if self.named > 1 else ""


def places(cfg: Any) -> Places:
    """Find the folders of features of a task's data-bins, which need not exist yet.

    Raises:
        FeatureError: the user named another number of folders than data-bins
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
    """Assign names to the data-bins of a list, which may hold one several times.

    Args:
        named: one for each data-bin, or one for each different data-bin

    Returns:
        one for each data-bin; empty: there are too many or too few
    """
    if len(named) == len(data_bins):
        return named
    first = first_places([Path(data_bin) for data_bin in data_bins])
    different = sorted(set(first))
    return [named[different.index(n)] for n in first] if len(named) == len(different) else []


def repeat_of(cfg: Any, shard: int) -> int:
    """Count the data-bins before this one in the list that are the same, or a copy of it.

    Each repetition gets another order of its pairs.
    """
    data_bins = [Path(data_bin) for data_bin in utils.split_paths(cfg.data)]
    first = first_places(data_bins)
    text = text_of(cfg, shard) if shard else ""
    return sum(
        first[n] == first[shard] or (text != "" and text_of(cfg, n) == text) for n in range(shard)
    )


def shard_files(cfg: Any, shard: int) -> Shard:
    """Open the files of a data-bin's training pairs."""
    data_bins = utils.split_paths(cfg.data)
    languages = cfg.source_lang, cfg.target_lang
    return open_shard(Path(data_bins[shard]), Path(data_bins[0]), cfg.train_subset, *languages)


def text_of(cfg: Any, shard: int) -> str:
    """Hash of the text of a data-bin; empty: not known.

    Only mmap data have one. A strategy that needs no features trains on other data too.
    """
    try:
        hashes = shard_files(cfg, shard).token_hashes()
    except FeatureError:
        return ""
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


def open_features(cfg: Any, epoch: int, codes: Codes | None = None) -> OpenedFeatures:
    """Open the features of the training data, and check that they fit it.

    Args:
        cfg: of the task
        epoch: selects the data-bin, where there are several
        codes: bins of statistics that become features too; they are checked already

    Raises:
        FeatureError: they are missing, truncated, of another version or made from other data; the
            message names what was found, what was expected and the command that mends it
    """
    where, shard = places(cfg), shard_of(cfg, epoch)
    try:
        opened = Features.open_all(where.folders, where.command)
        for number, features in enumerate(opened):  # all of them, before training on the first
            files = shard_files(cfg, number)
            features.check(files.fingerprint(), files.token_hashes())
            features.rarity  # noqa: B018 (refuse it now, not in the middle of the run)
    except FeatureError as error:
        raise FeatureError(f"{error}{where.besides}") from error
    manifest = opened[shard].manifest
    facts = [manifest.provenance.get("idf"), manifest.settings]
    dimensions = manifest.dimensions
    if codes is not None:
        facts.append([codes.statistics, codes.bins, codes.sha256])
        dimensions += codes.columns
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    return OpenedFeatures(str(where.folders[shard]), dimensions, digest, codes, where.command)


def _named_folder(root: Path, name: str) -> Path:
    """Find the folder of features in ``root``.

    ``root`` is a --dest of autoassist-tfidf, a data-bin, or that folder itself.
    """
    inside = root / name
    itself = root.name == name or (root / MANIFEST_NAME).is_file()
    if not inside.is_dir() and any(root.glob("dict.*.txt")):
        return root / FEATURES_FOLDER / name
    return root if itself and not inside.is_dir() else inside
