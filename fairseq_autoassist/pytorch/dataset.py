"""Each item of a dataset with its id before it, so that its loss can be reported by that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Sequence

import torch

#: under which the id stands in items that are dictionaries
KEY = "ids"


class WithIds(torch.utils.data.Dataset):
    """A dataset whose items begin with their index.

    Item ``i`` becomes ``(i, *item)`` of a tuple or list, ``{"ids": i, **item}`` of a dictionary,
    and ``(i, item)`` of anything else. A batch of them has its ids as an int64 tensor (B,).

    Args:
        dataset: with ``__getitem__`` and ``__len__``; its ``__getitems__`` is used where it has one

    Raises:
        TypeError: it has no length or no items by index
    """

    def __init__(self, dataset: Any) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(
                f"found {type(dataset).__name__}, expected a dataset with __getitem__ and __len__: "
                "an item is known by its index"
            )
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return _with_id(index, self.dataset[index])

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        if callable(getattr(self.dataset, "__getitems__", None)):
            items = self.dataset.__getitems__(indices)
        else:
            items = [self.dataset[index] for index in indices]
        return [_with_id(index, item) for index, item in zip(indices, items)]


def _with_id(index: int, item: Any) -> Any:
    if isinstance(item, Mapping):
        if KEY in item:
            raise ValueError(
                f"item {index} has a field {KEY!r} already, which WithIds puts the id in: rename it"
            )
        return {KEY: index, **item}
    return (index, *item) if isinstance(item, (tuple, list)) else (index, item)
