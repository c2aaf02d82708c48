"""State in fairseq's checkpoint: written and read on any torch, and checked against the run.

It holds tensors and plain Python only. So the checkpoint loads under torch's `weights_only` rules,
and without this plugin.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import typing
from typing import Any

import numpy as np
import torch
from fairseq.distributed import utils as distributed_utils
from omegaconf import DictConfig, ListConfig
from omegaconf.base import ContainerMetadata, Metadata
from omegaconf.nodes import AnyNode

from ..core.prior import AGREEMENT
from ..core.protocol import PlanSpec
from ..errors import AutoAssistError

STATE_VERSION = 4  # of the saved state; a change of its content increases it
LIMITS = "batch limits"  # key of BatchLimits, as a list
_MORE_COLUMNS = (
    ", or, if autoassist-agreement has run for the first time since then, which adds features, "
    "resume with --autoassist-prior none"
)
_FEWER_COLUMNS = (
    ", or, if that run had the features of autoassist-agreement, resume with its "
    "--autoassist-prior; --autoassist-prior-floor 1 turns the prior off and keeps these features"
)
_RESET = "start a new pass with --reset-dataloader"


def allow_fairseq_checkpoints() -> None:
    """Let torch >= 2.6 load fairseq's own checkpoints, and ranks broadcast them to one another.

    Besides tensors these checkpoints hold a Namespace, omegaconf's containers and, after
    --eval-bleu, small numpy arrays: plain data. These classes are allowed. The check stays on.
    """
    if not hasattr(torch.serialization, "add_safe_globals"):
        return
    containers = [DictConfig, ListConfig, AnyNode, Metadata, ContainerMetadata]
    plain = [argparse.Namespace, collections.defaultdict, dict, list, int, typing.Any]
    # fairseq puts these in place of tensors when it broadcasts an object
    placeholder = getattr(distributed_utils, "_TensorPlaceholder", None)
    plain += [placeholder] if placeholder is not None else []
    torch.serialization.add_safe_globals(containers + plain + _numbers_of_numpy())


def _numbers_of_numpy() -> list[Any]:
    """Functions and types that unpickle numeric arrays and scalars of numpy 1 and 2."""
    rebuild, scalar = np.ndarray.__reduce__(np.empty(0))[0], np.float64(0).__reduce__()[0]
    dtypes = [type(np.dtype(kind)) for kind in ("?", "i4", "i8", "f4", "f8")]
    found: list[Any] = [np.ndarray, np.dtype, *dtypes]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # of numpy 1, and of 2
        found += [(rebuild, f"{module}._reconstruct"), (scalar, f"{module}.scalar")]
    return found


def state_header(spec: PlanSpec) -> dict[str, Any]:
    """Header of a saved state: version, strategy, seed, features, limits and data."""
    return {
        "version": STATE_VERSION,
        "strategy": spec.config.strategy,
        "seed": spec.seed,
        "features hash": spec.features_hash,
        LIMITS: list(dataclasses.astuple(spec.limits)),
        **data_header(spec),
    }


def data_header(spec: PlanSpec) -> dict[str, Any]:
    """Part of the header that describes the data-bin."""
    return {
        "pairs": spec.items.count,
        "eligible pairs": spec.items.eligible_count,
        "tokens": [int(side.sum(dtype=np.int64)) for side in spec.items.lengths],
        "text": spec.text,
    }


def _unknown(key: str, found: Any, expected: Any) -> bool:
    """Tell whether there is nothing to compare: only mmap data have a known text."""
    return key == "text" and not (found and expected)


def check_version(saved: dict[str, Any]) -> None:
    """Refuse a state of another state version.

    Args:
        saved: what `Shards.saved` gave

    Raises:
        AutoAssistError: names the version found and the one expected, and what to do
    """
    found = saved.get("version", "none")
    if found != STATE_VERSION:
        raise AutoAssistError(
            f"the checkpoint's AutoAssist state has version {found}, expected {STATE_VERSION}: "
            "another version of fairseq-autoassist saved it; resume with that version, or keep the "
            f"model and {_RESET}"
        )


def check_state(saved: dict[str, Any], spec: PlanSpec, same_data: bool = True) -> None:
    """Refuse a state that this run cannot resume from. Other batch limits are no reason.

    Args:
        saved: state with its header
        spec: of this run
        same_data: whether the header describes the data-bin of ``spec``

    Raises:
        AutoAssistError: the state is of another strategy, seed or data set; the message says
            which, and what to do
    """
    of_data = data_header(spec)
    for key, expected in state_header(spec).items():
        found = saved[key]
        if key == LIMITS or _unknown(key, found, expected):
            continue
        if found != expected and (same_data or key not in of_data):
            why = f"{_RESET}{_columns(spec)}" if key == "features hash" else _RESET
            if key == "eligible pairs" and saved[LIMITS] != list(dataclasses.astuple(spec.limits)):
                why = f"give a --max-tokens that leaves out the same pairs, or {why}"
            raise AutoAssistError(
                f"the checkpoint's AutoAssist state has {key} {found}, this run has {expected}: "
                f"it cannot resume from there; {why}"
            )


def _columns(spec: PlanSpec) -> str:
    """How to resume if the features of agreement are all that differs."""
    here = spec.prior is not None and spec.config.prior == AGREEMENT
    return _MORE_COLUMNS if here else _FEWER_COLUMNS


def check_data_bins(saved: dict[str, Any], count: int) -> None:
    """Refuse a state of another number of data-bins.

    Args:
        saved: what `Shards.saved` gave
        count: data-bins of this run

    Raises:
        AutoAssistError: they differ; the message says in what, and what to do
    """
    found = saved["data-bins"]
    if found != count:
        raise AutoAssistError(
            f"the checkpoint's AutoAssist state is of {found} data-bins, this run has {count}: it "
            f"cannot resume from there; name the same data-bins in the same order, or {_RESET}"
        )


def check_data(saved: dict[str, Any], spec: PlanSpec, data_bin: int) -> None:
    """Refuse the state of another data-bin.

    Args:
        saved: `data_header` of the run that saved it
        spec: of this run
        data_bin: its number in the list, from 0

    Raises:
        AutoAssistError: they differ; the message says in what, and what to do
    """
    for key, expected in data_header(spec).items():
        if not _unknown(key, saved[key], expected) and saved[key] != expected:
            raise AutoAssistError(
                f"data-bin {data_bin + 1} has {key} {expected}, the checkpoint's AutoAssist state "
                f"of data-bin {data_bin + 1} has {saved[key]}: it cannot resume from there; name "
                f"the same data-bins in the same order, or {_RESET}"
            )
