"""What every adapter needs of torch: tensors on their way to the host, and states as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .core.batching import KEPT


class HostCopy:
    """A tensor on its way to the host, while the device goes on computing.

    Args:
        tensor: on any device; one on the host is taken as it is
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self._tensor, self._event = tensor.detach(), None
        if tensor.is_cuda:
            self._tensor = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._tensor.copy_(tensor.detach(), non_blocking=True)
            self._event = torch.cuda.Event()
            # the copy is on the tensor's device, which need not be the current one
            self._event.record(torch.cuda.current_stream(tensor.device))
        elif tensor.device.type != "cpu":
            self._tensor = tensor.detach().cpu()

    @property
    def arrived(self) -> bool:
        """Whether `numpy` returns at once."""
        return self._event is None or self._event.query()

    def numpy(self) -> np.ndarray:
        """The values, after a wait for them where they have not arrived."""
        if self._event is not None:
            self._event.synchronize()
        return self._tensor.numpy()


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
    """The inverse of `to_checkpoint` (tuples come back as lists).

    The tensor may be on any device, as ``torch.load(..., map_location="cuda")`` leaves it.
    """
    offsets, blob = saved["offsets"], saved["blob"].cpu().numpy()
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
