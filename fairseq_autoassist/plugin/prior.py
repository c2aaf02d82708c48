"""Prior of the training data: of ``autoassist-agreement``, the user's own, or none."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from fairseq import utils

from ..config import AutoAssistConfig, flag
from ..core.prior import AGREEMENT, NONE, Prior
from ..core.strategies import needs_of
from ..errors import ConfigError, FeatureError
from ..features.agreement.files import Agreement
from ..features.binned import Codes
from ..features.commands import side_command
from ..features.scores import read_scores
from .data import Places, one_for_each, places, shard_files, shard_of

_COMMAND = "autoassist-agreement"
_JUNK = 0.01  # pairs below this are hardly ever kept


class OpenedPrior(NamedTuple):
    """Prior that fits the data, with its bins, and a message for the user (empty: none)."""

    prior: Prior | None = None
    codes: Codes | None = None
    told: str = ""


def open_prior(cfg: Any, config: AutoAssistConfig, epoch: int, pairs: int) -> OpenedPrior:
    """Open the prior of the training data, and check that it fits.

    Args:
        cfg: of the task
        config: of the method
        epoch: selects the data-bin, where there are several
        pairs: in that data-bin

    Raises:
        FeatureError, ConfigError: it is damaged, of other data, or missing where the strategy
            needs it; the message names the command that mends it
    """
    needs = needs_of(config)
    if needs.prior == "ignored":
        return OpenedPrior()
    found = OpenedPrior()
    if config.prior == AGREEMENT:
        found = _of_agreement(cfg, config, epoch)
    elif config.prior != NONE:
        found = _of_user(cfg, config, epoch, pairs)
    if needs.prior == "required" and found.prior is None:
        raise ConfigError(_missing(cfg, config))
    return found


def _of_agreement(cfg: Any, config: AutoAssistConfig, epoch: int) -> OpenedPrior:
    where, shard = places(cfg), shard_of(cfg, epoch)
    command = _command(where)
    found = [Agreement.open(folder, command) for folder in where.folders]
    opened = [one for one in found if one is not None]
    if opened and len(opened) < len(found):
        raise FeatureError(
            f"found the agreement of pairs of {len(opened)} of {len(found)} data-bins, expected "
            f"that of all or of none; write it with: {command}"
        )
    if not opened:
        return OpenedPrior()
    for number, one in enumerate(opened):  # all of them, before training on the first
        files = shard_files(cfg, number)
        one.check_sizes()
        one.check(files.fingerprint(), files.token_hashes())
    if len({(one.statistics, one.bins) for one in opened}) > 1:
        raise FeatureError(
            "these data-bins have agreements with different statistics, expected the same, since "
            f"one Assistant goes through all; write them together with: {command}"
        )
    prior = opened[shard].prior(config.prior_floor)
    codes = _codes(opened, shard) if needs_of(config).columns else None
    return OpenedPrior(prior, codes, _told(prior, _COMMAND))


def _codes(opened: list[Agreement], shard: int) -> Codes:
    """Bins of a data-bin, with a hash of those of all, through which one Assistant goes."""
    hashes = sorted({one.bins_sha256 for one in opened})  # a data-bin may be listed twice
    both = hashlib.sha256("".join(hashes).encode()).hexdigest()
    return opened[shard].codes._replace(sha256=both)


def _of_user(cfg: Any, config: AutoAssistConfig, epoch: int, pairs: int) -> OpenedPrior:
    named, data_bins = utils.split_paths(config.prior), utils.split_paths(cfg.data)
    files = one_for_each(named, data_bins)
    if not files:
        raise ConfigError(
            f"{flag('prior')} names {len(named)} files for {len(data_bins)} data-bins, expected "
            "one for each, joined like them"
        )
    shard = shard_of(cfg, epoch)
    path = Path(files[shard])
    prior = Prior(read_scores(path, pairs, data_bins[shard]), config.prior_floor)
    for number, (file, data_bin) in enumerate(zip(files, data_bins)):
        if (file, data_bin) != (files[shard], data_bins[shard]):
            _check_other(cfg, number, file, data_bin)
    return OpenedPrior(prior, None, _told(prior, str(path)))


def _check_other(cfg: Any, number: int, file: str, data_bin: str) -> None:
    """Check the scores of a data-bin that another epoch loads, before training on the first.

    Raises:
        ConfigError: as `read_scores`
    """
    try:
        pairs = shard_files(cfg, number).rows
    except FeatureError:  # only mmap data tell their number
        return
    _check_scores(file, pairs, data_bin)


# every epoch asks for all data-bins, and reading 100 million lines takes minutes
@functools.lru_cache(maxsize=None)
def _check_scores(file: str, pairs: int, data_bin: str) -> None:
    read_scores(Path(file), pairs, data_bin)


def _told(prior: Prior, source: str) -> str:
    return (
        f"prior of {source}: mean {prior.mean():.3f}, {prior.share_below(_JUNK):.0%} of the pairs "
        f"below {_JUNK}; off with {flag('prior')} {NONE}"
    )


def _command(where: Places) -> str:
    """Command that writes the agreement of these data-bins, of several inside them."""
    return side_command(_COMMAND, where.command) + where.besides


def _missing(cfg: Any, config: AutoAssistConfig) -> str:
    where = places(cfg)
    reason = f"{flag('prior')} is {NONE}"
    if config.prior == AGREEMENT:
        reason = f"there is none in {', '.join(map(str, where.folders))}"
    return (
        f"{flag('strategy')} {config.strategy} needs a prior, and {reason}; give {flag('prior')} "
        f"FILE, or leave that flag out and run: {_command(where)}"
    )
