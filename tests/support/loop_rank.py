"""One rank of a training loop over gloo: FOLDER STRATEGY STEPS ARGUMENTS.

STEPS has a number for each epoch. The rank resumes from its state in the folder, if there is one.
It writes what it was trained on to ``<rank>.json``, and its state to ``<rank>.pt``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

from tests.support.loop import Loop, make


def main(folder: Path, strategy: str, steps: list[int], arguments: dict) -> None:
    """Train: ``steps`` of each epoch (0: all)."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    loop = Loop(make(strategy, **arguments))
    loop.model = DistributedDataParallel(loop.model)
    loop.optimizer = torch.optim.SGD(loop.model.parameters(), lr=0.1)
    saved = folder / f"{rank}.pt"
    if saved.exists():
        loop.load(torch.load(saved, weights_only=True))
    lengths = []
    for count in steps:
        loop.epoch(count or None)
        lengths.append(len(loop.loader))
    torch.save(loop.state(), saved)
    found = {"batches": loop.batches, "losses": loop.losses, "lengths": lengths}
    (folder / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4]))
