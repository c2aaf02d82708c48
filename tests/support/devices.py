"""Tensors that behave as those on a GPU, for tests on machines without one."""

from __future__ import annotations

from typing import Any

import torch


class OnDevice(torch.Tensor):
    """Tensor that numpy cannot read before `cpu`, as ``torch.load(map_location="cuda")`` makes."""

    def cpu(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Give the plain tensor."""
        return self.as_subclass(torch.Tensor)

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        """Fail as a tensor on a GPU does."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()


def on_device(tree: Any) -> Any:
    """Give a state with each tensor as if on a GPU."""
    if isinstance(tree, dict):
        return {key: on_device(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [on_device(value) for value in tree]
    return tree.detach().as_subclass(OnDevice) if isinstance(tree, torch.Tensor) else tree
