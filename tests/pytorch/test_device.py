"""Losses on a GPU: the same batches as on the CPU, and no wait for the GPU."""

from __future__ import annotations

import pytest
import torch

from tests.support.loop import Loop, make

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU: torch.cuda.is_available() is False"
)


class Step:
    """Reports losses that depend on the ids alone, on any device and in any precision."""

    def __init__(self, loop: Loop, device: str, dtype: torch.dtype, ids_too: bool) -> None:
        self.loop, self.device, self.dtype, self.ids_too = loop, device, dtype, ids_too

    def __call__(self, ids: torch.Tensor) -> None:
        losses = (ids % 8).to(self.device).to(self.dtype)
        self.loop.assist.report(ids.to(self.device) if self.ids_too else ids, losses)


@pytest.mark.parametrize("ids_too", [False, True], ids=["losses", "losses and ids"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_losses_on_a_gpu_make_the_same_batches(dtype, ids_too):
    found = []
    for device in ("cpu", "cuda"):
        loop = Loop(make("infobatch", epoch=120))
        step = Step(loop, device, dtype, ids_too and device == "cuda")
        batches = []
        for ids, *_ in loop.loader:
            step(ids)
            batches.append(ids.tolist())
        found.append(batches)
    assert found[0] == found[1]


@pytest.mark.parametrize("ids_too", [False, True], ids=["losses", "losses and ids"])
def test_a_report_does_not_wait(ids_too):
    assist = make("autoassist")
    ids = torch.tensor(next(iter(assist)))
    ids = ids.cuda() if ids_too else ids
    losses = torch.ones(len(ids), device="cuda", requires_grad=True)
    torch.empty(1).pin_memory()  # the first allocation of pinned memory waits
    torch.cuda.synchronize()
    torch.cuda._sleep(3_000_000_000)  # busy for a second at least
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        assist.report(ids, losses)
        assert assist.metrics == {} and assist.batch == 1
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    assert assist.state_dict()["trained"] == 1


def test_a_state_is_loaded_with_its_tensors_on_the_gpu(tmp_path):
    first, second = Loop(make("autoassist")), Loop(make("autoassist"))
    first.assist.state_dict()  # a snapshot before the reports
    first.epoch(5)
    torch.save(first.assist.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True, map_location="cuda")
    assert state["reports"][0].is_cuda and state["snapshot"]["blob"].is_cuda
    second.assist.load_state_dict(state)
    assert second.assist.batch == 5
