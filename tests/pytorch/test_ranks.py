"""Two ranks over gloo: disjoint items, as many batches on each, and exact resume."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from fairseq_autoassist.errors import AutoAssistError
from recipes.common.data import ROOT
from tests.support.loop import BATCH, ITEMS, dataset, make

RANKS = 2


def train(folder, strategy, steps, **arguments):
    """Run `tests.support.loop_rank` on two ranks; returns what each trained on."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.support.loop_rank", str(folder), strategy]
    command += [json.dumps(steps), json.dumps(arguments)]
    place = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": str(RANKS)}
    runs = [
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **place, "RANK": str(rank)})
        for rank in range(RANKS)
    ]
    try:
        assert [run.wait(timeout=120) for run in runs] == [0] * RANKS
    finally:
        for run in runs:
            run.kill()
            run.wait()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(RANKS)]


def test_an_epoch_of_uniform_is_as_long_as_with_a_distributed_sampler(tmp_path):
    found = train(tmp_path, "uniform", [0, 0])
    sampler = DistributedSampler(dataset(), num_replicas=RANKS, rank=0)
    plain = len(DataLoader(dataset(), BATCH, sampler=sampler))
    for rank in found:
        assert rank["lengths"] == [plain] * 2 and len(rank["batches"]) == 2 * plain
    for epoch in range(2):
        part = slice(epoch * plain, (epoch + 1) * plain)
        assert sorted(sum(sum((r["batches"][part] for r in found), []), [])) == list(range(ITEMS))


@pytest.mark.parametrize("epoch", ["plain", "pass"])
def test_ranks_have_as_many_batches_and_disjoint_items(epoch, tmp_path):
    found = train(tmp_path, "random", [0, 0, 0, 0], epoch=epoch, keep=0.4)
    first, second = found
    assert first["lengths"] == second["lengths"]
    assert len(first["batches"]) == len(second["batches"]) == sum(first["lengths"])
    assert (max(first["lengths"]) > min(first["lengths"])) == (epoch == "pass")
    one_pass = [set(sum(rank["batches"][:3], [])) for rank in found]
    assert not set.intersection(*one_pass)  # 96 of the 120 that each keeps of a pass


@pytest.mark.slow
def test_a_resume_on_two_ranks_is_exact(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    arguments = {"inline": False}
    whole = train(tmp_path / "whole", "autoassist", [0, 0, 0, 0, 0, 0], **arguments)
    first = train(tmp_path / "parts", "autoassist", [0, 0, 0, 0, 4], **arguments)
    second = train(tmp_path / "parts", "autoassist", [0, 0], **arguments)
    for rank in range(RANKS):
        for key in ("batches", "losses"):
            assert first[rank][key] + second[rank][key] == whole[rank][key]
    assert whole[0]["batches"] != whole[1]["batches"]
    times = np.bincount(sum(sum((r["batches"] for r in whole), []), []), minlength=ITEMS)
    assert times.min() < 6 < times.max()  # some items were skipped

    state = torch.load(tmp_path / "parts" / "1.pt", weights_only=True)["assist"]
    with pytest.raises(AutoAssistError, match="is of 2 ranks, this run has 1"):
        make("autoassist").load_state_dict(state)


def test_a_process_group_that_is_made_too_late_is_refused(monkeypatch):
    assist = make("uniform")
    next(iter(assist))
    monkeypatch.setattr(
        "fairseq_autoassist.pytorch.sampler.rank_and_world_size", lambda: (1, RANKS)
    )
    with pytest.raises(AutoAssistError, match="began as rank 0 of 1, found rank 1 of 2 now"):
        next(iter(assist))
