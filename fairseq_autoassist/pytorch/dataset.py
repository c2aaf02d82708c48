"""A dataset that gives each item with its id, by which the loss of the item is reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Sequence

import torch

#: key of the id in items that are dictionaries
KEY = "ids"


class WithIds(torch.utils.data.Dataset):
    """A dataset whose items begin with their index.

    Item ``i`` becomes ``(i, *item)`` if it is a tuple or list, ``{"ids": i, **item}`` if it is a
    dictionary, and else ``(i, item)``. The default collation makes the ids of a batch an int64
    tensor (B,).

    Args:
        dataset: has ``__getitem__`` and ``__len__``; its ``__getitems__`` is used if it has one

    Raises:
        TypeError: the dataset has no length or no items by index
        ValueError: (from reading an item) a dictionary has a field "ids" already
    """

    def __init__(self, dataset: Any) -> None:
        iterable = isinstance(dataset, torch.utils.data.IterableDataset)
        if iterable or not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(
                f"found {type(dataset).__name__}, expected a dataset with __getitem__ and __len__: "
                "the index of an item is its id"
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
                f"item {index} has a field {KEY!r} already, where WithIds puts the id: rename it"
            )
        return {KEY: index, **item}
    return (index, *item) if isinstance(item, (tuple, list)) else (index, item)
