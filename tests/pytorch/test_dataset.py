"""`WithIds`: items with their ids, whatever the items of a dataset are."""

from __future__ import annotations

import collections

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from fairseq_autoassist.pytorch import WithIds

Named = collections.namedtuple("Named", ["image", "label"])


@pytest.mark.parametrize(
    "items, expected",
    [
        ([("a", 1), ("b", 2)], [(0, "a", 1), (1, "b", 2)]),
        ([["a", 1], ["b", 2]], [(0, "a", 1), (1, "b", 2)]),
        ([Named("a", 1), Named("b", 2)], [(0, "a", 1), (1, "b", 2)]),
        (["a", "b"], [(0, "a"), (1, "b")]),
        ([{"x": 5}, {"x": 6}], [{"ids": 0, "x": 5}, {"ids": 1, "x": 6}]),
    ],
)
def test_an_item_begins_with_its_id(items, expected):
    dataset = WithIds(items)
    assert [dataset[index] for index in range(len(dataset))] == expected
    assert dataset.__getitems__([1, 0]) == expected[::-1]


def test_a_batch_of_items_has_its_ids_as_a_tensor():
    loader = DataLoader(WithIds([{"x": 5}, {"x": 6}]), batch_sampler=[[1, 0]])
    (batch,) = loader
    assert batch["ids"].dtype == torch.int64 and batch["ids"].tolist() == [1, 0]


def test_items_are_fetched_together_where_the_dataset_can():
    asked = []

    class Together(TensorDataset):
        def __getitems__(self, indices):
            asked.append(list(indices))
            return [self[index] for index in indices]

    inner = Together(torch.arange(10.0))
    (batch,) = DataLoader(WithIds(Subset(inner, range(5, 10))), batch_sampler=[[0, 4]])
    assert batch[0].tolist() == [0, 4] and batch[1].tolist() == [5.0, 9.0]
    assert asked == [[5, 9]]


def test_a_field_of_the_same_name_is_refused():
    with pytest.raises(ValueError, match="item 0 has a field 'ids' already"):
        WithIds([{"ids": 1}])[0]


def test_what_has_no_items_by_index_is_refused():
    with pytest.raises(TypeError, match="found generator, expected a dataset with __getitem__"):
        WithIds(item for item in "ab")


def test_an_iterable_dataset_is_refused_though_it_has_a_length():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter("ab")

        def __len__(self):
            return 2

    with pytest.raises(TypeError, match="found Stream, expected a dataset with __getitem__"):
        WithIds(Stream())
