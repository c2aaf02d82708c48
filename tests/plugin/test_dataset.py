"""Planned micro-batch after fairseq's collater: marks and weights stay with their rows."""

import numpy as np
import torch

from fairseq_autoassist.core.batching import KEPT
from fairseq_autoassist.core.protocol import PlannedBatch, Totals
from fairseq_autoassist.plugin.criterions import PLAN
from fairseq_autoassist.plugin.dataset import PlannedDataset


class Dataset:
    """Stand-in for fairseq's dataset, whose collater sorts rows: here by falling id."""

    def __getitem__(self, index):
        return index

    def collater(self, items):
        return {"id": torch.tensor(sorted(items, reverse=True))}


def planned(*pairs):
    kept = np.array(list(pairs), KEPT)
    return PlannedBatch(3, kept, Totals(), position=(0, 0), passes=0.0, keep_rate=1.0)


def test_marks_and_weights_go_to_the_rows_of_their_pairs():
    # pair 4 comes twice: each of its rows has a mark and weight of its own
    pairs = [(4, True, 2.0), (9, False, 0.5), (1, True, 3.0), (7, False, 1.0), (4, False, 4.0)]
    sample = PlannedDataset(Dataset())[planned(*pairs)]
    plan = sample[PLAN]
    assert plan["number"] == 3
    rows = zip(sample["id"].tolist(), plan["uniform"].bool().tolist(), plan["weight"].tolist())
    assert sorted(rows) == sorted(pairs)
    assert [pairs[position][0] for position in plan["order"]] == sample["id"].tolist()
    assert plan["weight"].dtype == torch.float64  # --fp16 makes float32 half precision
    plain = PlannedDataset(Dataset())[planned((4, True, 1.0), (9, False, 1.0))]
    assert "weight" not in plain[PLAN] and plain[PLAN]["uniform"].tolist() == [0.0, 1.0]
