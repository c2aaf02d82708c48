"""Networks against torchvision, the schedule over a budget, weights of samples by the papers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recipes.images.models import STEMS, ResNet, build
from recipes.images.schedule import schedule
from recipes.images.vision import resnet
from recipes.images.weighing import Permutations, Screener, SelfPaced

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("depth", ["resnet18", "resnet34", "resnet101"])
def test_full_width_has_the_shapes_of_torchvision(depth: str) -> None:
    with torch.device("meta"):
        ours, theirs = ResNet(depth, 7), getattr(resnet, depth)(num_classes=7)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_full_width_computes_what_torchvision_does() -> None:
    ours, theirs = ResNet("resnet18", 5).eval(), resnet.resnet18(num_classes=5).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


@pytest.mark.parametrize("stem", list(STEMS))
@pytest.mark.parametrize("depth", ["resnet18", "resnet34"])
def test_narrow_networks_have_one_output_for_each_class(depth: str, stem: str) -> None:
    network = build(depth, 4, channels=1, width=2, stem=stem, seed=1)
    assert network(torch.randn(2, 1, 28, 28)).shape == (2, 4)


def test_first_weights_depend_on_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (build("resnet18", 2, 1, 2, "digit", s).fc.weight for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def rates(updates: int) -> list[float]:
    """Learning rate of each update."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = schedule(optimizer, updates)
    found = []
    for _ in range(updates):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("updates", [1, 40, 100])
def test_one_cycle_fits_every_budget(updates: int) -> None:
    found = rates(updates)
    assert len(found) == updates and 0 < min(found) <= max(found) < 0.101
    if updates > 1:
        assert max(found) == pytest.approx(0.1, rel=0.01)
        assert np.argmax(found) == pytest.approx(0.2 * updates, abs=1)
        assert found[-1] < 0.001


def test_a_pass_has_every_image_once_and_in_another_order() -> None:
    batches = Permutations(10, 3, seed=1)
    first, second = (np.concatenate(list(batches)) for _ in range(2))
    assert len(set(first)) == len(first) == 9
    assert not np.array_equal(first, second)
    assert np.array_equal(first, np.concatenate(list(Permutations(10, 3, seed=1))))


IMAGES = torch.zeros(4, 1, 8, 8)  # self-paced learning reads the losses alone


def test_self_paced_learning_begins_with_the_easy_half_alone() -> None:
    weights = SelfPaced(updates=10).weigh(IMAGES, torch.tensor([4.0, 1.0, 2.0, 3.0]))
    assert weights.tolist() == [0.0, 1.0, 1.0, 0.0]


def test_self_paced_weights_minimise_their_objective() -> None:
    paced = SelfPaced(updates=10)
    losses = torch.tensor([0.2, 0.9, 1.5, 3.0])
    for _ in range(4):
        paced.weigh(IMAGES, losses)
    weights = paced.weigh(IMAGES, losses)
    share, limit = 4 / 10, float(paced.limit)
    q = 1.0 + 1.0 / share
    grid = torch.linspace(0.0, 1.0, 10_001)
    for weight, loss in zip(weights, losses):
        objective = grid * loss + limit * (grid**q / q - grid)
        assert float(weight) == pytest.approx(float(grid[objective.argmin()]), abs=2e-4)


def test_self_paced_learning_admits_more_images_until_half_of_the_run() -> None:
    paced = SelfPaced(updates=10)
    losses = torch.tensor([1.0, 2.0, 3.0, 4.0])
    shares = [float((paced.weigh(IMAGES, losses) > 0).float().mean()) for _ in range(10)]
    assert shares == sorted(shares) and paced.quantile == 1.0
    assert shares[0] == 0.5 and shares[-1] >= 0.75


def test_the_screeners_objective_is_the_papers() -> None:
    weights, errors = torch.tensor([0.25, 0.5]), torch.tensor([2.0, 0.4])
    expected = (0.75**2 * 2.0 + 0.5**2 * 0.4 + 0.5**2 * 0.6) / 2
    assert float(Screener.objective(weights, errors)) == pytest.approx(expected)


def test_the_screener_learns_which_images_have_large_losses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Screener, "RATE", 0.01)
    screener = Screener(1, 2, "digit", seed=1, device=torch.device("cpu"))
    hard = torch.arange(32) % 2 == 0
    images = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    images[hard] += 2.0
    losses = torch.where(hard, 3.0, 0.01)
    for _ in range(20):
        weights = screener.weigh(images, losses)
    assert not weights.requires_grad
    assert weights[hard].min() > weights[~hard].max()
    assert weights[hard].mean() > 0.7 and weights[~hard].mean() < 0.3


def test_the_screener_computes_as_the_trained_network_does() -> None:
    """ScreenerNet's cost is compared with that of networks in bfloat16 and channels last."""
    screener = Screener(3, 2, "small", seed=1, device=torch.device("cpu"), bf16=True)
    found = []
    screener.network.layer1.register_forward_hook(lambda _, __, output: found.append(output))
    weights = screener.weigh(torch.randn(4, 3, 32, 32), torch.ones(4))
    assert weights.dtype == torch.float32
    assert found[0].dtype == torch.bfloat16
    assert found[0].is_contiguous(memory_format=torch.channels_last)
