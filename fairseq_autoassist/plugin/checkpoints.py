"""What goes into fairseq's checkpoint, and getting it out again on any torch.

Tensors and plain Python only: such a checkpoint loads under torch's `weights_only` rules, and
without this plugin.
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

from ..core.batching import KEPT
from ..core.protocol import PlanSpec
from ..errors import AutoAssistError

STATE_VERSION = 4  # of the saved state; goes up with every change of what stands in it
LIMITS = "batch limits"  # key of BatchLimits, as a list
_COLUMNS = (
    ", or, if autoassist-agreement has run since, which changes the features too, go on without it "
    "by --autoassist-prior none"
)
_RESET = "start a new pass with --reset-dataloader"


def allow_fairseq_checkpoints() -> None:
    """Let torch >= 2.6 load fairseq's own checkpoints, and ranks broadcast them to one another.

    The narrow way: what fairseq's checkpoints hold besides tensors is a Namespace, omegaconf's
    containers and, after --eval-bleu, small numpy arrays: plain data all of it. These classes are
    allowed; the check stays on.
    """
    if not hasattr(torch.serialization, "add_safe_globals"):
        return
    containers = [DictConfig, ListConfig, AnyNode, Metadata, ContainerMetadata]
    plain = [argparse.Namespace, collections.defaultdict, dict, list, int, typing.Any]
    # how fairseq marks the place of a tensor when it broadcasts an object
    placeholder = getattr(distributed_utils, "_TensorPlaceholder", None)
    plain += [placeholder] if placeholder is not None else []
    torch.serialization.add_safe_globals(containers + plain + _numbers_of_numpy())


def _numbers_of_numpy() -> list[Any]:
    """What numpy's arrays and scalars of numbers are unpickled with, whichever numpy saved them."""
    rebuild, scalar = np.ndarray.__reduce__(np.empty(0))[0], np.float64(0).__reduce__()[0]
    dtypes = [type(np.dtype(kind)) for kind in ("?", "i4", "i8", "f4", "f8")]
    found: list[Any] = [np.ndarray, np.dtype, *dtypes]
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # of numpy 1, and of 2
        found += [(rebuild, f"{module}._reconstruct"), (scalar, f"{module}.scalar")]
    return found


def to_checkpoint(state: Any) -> dict[str, Any]:
    """Numpy arrays and plain Python -> plain Python and one tensor.

    One tensor, because fairseq broadcasts every tensor of a checkpoint by itself when ranks resume.

    Returns:
        ``{"tree", "offsets", "blob"}``: the state with each array replaced by its number, where
        each begins, and the bytes of all of them (uint8 tensor)
    """
    parts: list[np.ndarray] = []
    tree = _place(state, parts)
    offsets = np.cumsum([0, *map(len, parts)]).tolist()
    blob = np.concatenate([np.empty(0, np.uint8), *parts])
    return {"tree": tree, "offsets": offsets, "blob": torch.from_numpy(blob)}


def from_checkpoint(saved: dict[str, Any]) -> Any:
    """The inverse of `to_checkpoint` (tuples come back as lists)."""
    offsets, blob = saved["offsets"], saved["blob"].numpy()
    return _take(saved["tree"], [blob[a:b] for a, b in zip(offsets, offsets[1:])])


_ARRAY = "autoassist.array"


def _place(state: Any, parts: list[np.ndarray]) -> Any:
    if isinstance(state, dict):
        return {key: _place(value, parts) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [_place(value, parts) for value in state]
    if isinstance(state, np.ndarray):
        dtype = "kept" if state.dtype == KEPT else state.dtype.str
        parts.append(np.frombuffer(state.tobytes(), np.uint8))
        return {_ARRAY: [dtype, list(state.shape), len(parts) - 1]}
    return state.item() if isinstance(state, np.generic) else state


def _take(tree: Any, parts: list[np.ndarray]) -> Any:
    if isinstance(tree, list):
        return [_take(value, parts) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if set(tree) != {_ARRAY}:
        return {key: _take(value, parts) for key, value in tree.items()}
    dtype, shape, index = tree[_ARRAY]
    kind = KEPT if dtype == "kept" else np.dtype(dtype)
    return np.frombuffer(parts[index].tobytes(), kind).reshape(shape).copy()


def state_header(spec: PlanSpec) -> dict[str, Any]:
    """What a saved state says about itself."""
    return {
        "version": STATE_VERSION,
        "strategy": spec.config.strategy,
        "seed": spec.seed,
        "features hash": spec.features_hash,
        LIMITS: list(dataclasses.astuple(spec.limits)),
        **data_header(spec),
    }


def data_header(spec: PlanSpec) -> dict[str, Any]:
    """What a saved state says about its data-bin."""
    return {
        "pairs": spec.items.count,
        "eligible pairs": spec.items.eligible_count,
        "tokens": [int(side.sum(dtype=np.int64)) for side in spec.items.lengths],
        "text": spec.text,
    }


def _unknown(key: str, found: Any, expected: Any) -> bool:
    """Whether there is nothing to compare: the text is known of mmap data only."""
    return key == "text" and not (found and expected)


def check_version(saved: dict[str, Any]) -> None:
    """Refuse a state that another version of this package saved in another form.

    Args:
        saved: what `Shards.saved` gave

    Raises:
        AutoAssistError: names the version found and the one expected, and what to do
    """
    found = saved.get("version", "none")
    if found != STATE_VERSION:
        raise AutoAssistError(
            f"the checkpoint's AutoAssist state has version {found}, expected {STATE_VERSION}: "
            "another version of fairseq-autoassist saved it; go on with that version, or keep the "
            f"model and {_RESET}"
        )


def check_state(saved: dict[str, Any], spec: PlanSpec, same_data: bool = True) -> None:
    """Refuse what cannot be restored; other batch limits can be.

    Args:
        saved: with the header of the run that saved it
        spec: of this run
        same_data: whether the header is of the data-bin of ``spec``

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
            why = f"{_RESET}{_COLUMNS}" if key == "features hash" else _RESET
            if key == "eligible pairs" and saved[LIMITS] != list(dataclasses.astuple(spec.limits)):
                why = f"give a --max-tokens that leaves out no other pairs, or {why}"
            raise AutoAssistError(
                f"the checkpoint's AutoAssist state has {key} {found}, this run has {expected}: "
                f"it cannot go on from there; {why}"
            )


def check_data_bins(saved: dict[str, Any], count: int) -> None:
    """Refuse what was saved with another number of data-bins: the list of them was changed.

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
            f"cannot go on from there; name the same data-bins in the same order, or {_RESET}"
        )


def check_data(saved: dict[str, Any], spec: PlanSpec, data_bin: int) -> None:
    """Refuse what was saved for another data-bin: the list of them was changed.

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
                f"of data-bin {data_bin + 1} has {saved[key]}: it cannot go on from there; name "
                f"the same data-bins in the same order, or {_RESET}"
            )
