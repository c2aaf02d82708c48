"""What goes into fairseq's checkpoint, and getting it out again on any torch.

Tensors and plain Python only: such a checkpoint loads under torch's `weights_only` rules, and
without this plugin.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import numpy as np
import torch

from ..core.batching import KEPT
from ..core.plan import PlanSpec
from ..errors import AutoAssistError

STATE_VERSION = 1
_RESET = "start a new pass with --reset-dataloader"


def allow_fairseq_checkpoints() -> None:
    """Let torch >= 2.6 load fairseq's own checkpoints, which hold an argparse.Namespace.

    The narrow way: one harmless class is allowed, the check stays on.
    """
    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals([argparse.Namespace])


def to_checkpoint(state: Any) -> Any:
    """Numpy arrays -> tensors, through dicts and lists; kept pairs become a dict of tensors."""
    if isinstance(state, dict):
        return {key: to_checkpoint(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [to_checkpoint(value) for value in state]
    if isinstance(state, np.ndarray):
        if state.dtype == KEPT:
            columns = {name: state[name].copy() for name in KEPT.names or ()}
            return {"kept_pairs": {n: torch.from_numpy(column) for n, column in columns.items()}}
        return torch.from_numpy(np.array(state))
    if isinstance(state, np.generic):
        return state.item()
    return state


def from_checkpoint(state: Any) -> Any:
    """The inverse of `to_checkpoint` (tuples come back as lists)."""
    if isinstance(state, dict):
        if set(state) == {"kept_pairs"}:
            columns = state["kept_pairs"]
            pairs = np.empty(len(columns["id"]), KEPT)
            for name, column in columns.items():
                pairs[name] = column.numpy()
            return pairs
        return {key: from_checkpoint(value) for key, value in state.items()}
    if isinstance(state, list):
        return [from_checkpoint(value) for value in state]
    if isinstance(state, torch.Tensor):
        return state.numpy()
    return state


def state_header(spec: PlanSpec) -> dict[str, Any]:
    """What a saved state says about itself."""
    return {
        "version": STATE_VERSION,
        "strategy": spec.config.strategy,
        "world_size": spec.world_size,
        "seed": spec.seed,
        "pairs": len(spec.source_sizes),
        "eligible pairs": len(spec.source_sizes if spec.eligible is None else spec.eligible),
        "batch limits": list(dataclasses.astuple(spec.limits)),
    }


def check_state(saved: dict[str, Any], spec: PlanSpec) -> None:
    """Refuse what cannot be restored.

    Raises:
        AutoAssistError: the state is of another version, strategy, number of ranks, seed, data
            set or batch size; the message says which, and what to do
    """
    for key, expected in state_header(spec).items():
        found = saved.get(key)
        if found != expected:
            raise AutoAssistError(
                f"the checkpoint's AutoAssist state has {key} {found}, this run has {expected}: "
                f"it cannot go on from there; {_RESET}"
            )
