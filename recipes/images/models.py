"""Residual networks of torchvision's blocks, with a width and a stem for small images."""

from __future__ import annotations

import torch
from torch import nn

from recipes.images.vision import resnet

WIDTH = 64  # channels of the first stage in torchvision

# name -> class of a block, and number of blocks of each of the four stages
DEPTHS = {
    "resnet18": (resnet.BasicBlock, (2, 2, 2, 2)),
    "resnet34": (resnet.BasicBlock, (3, 4, 6, 3)),
    "resnet101": (resnet.Bottleneck, (3, 4, 23, 3)),
}

# name -> side of the first filter, its stride, and whether max pooling over 3 x 3 follows
STEMS = {
    "photo": (7, 2, True),  # as in torchvision
    "small": (3, 1, False),  # images of 32 x 32
    "digit": (3, 2, False),  # images of 28 x 28, grey
}


class ResNet(resnet.ResNet):  # type: ignore[name-defined]
    """Residual network (He et al. 2016); with width 64 and the stem "photo" it is torchvision's.

    The input is float32 (n, channels, height, width), the output float32 (n, classes).

    Args:
        depth: a key of `DEPTHS`
        classes: number of outputs
        channels: channels of the images, 1 or 3
        width: channels of the first stage; each later stage has twice as many as the one before
        stem: a key of `STEMS`
    """

    def __init__(
        self, depth: str, classes: int, channels: int = 3, width: int = WIDTH, stem: str = "photo"
    ) -> None:
        nn.Module.__init__(self)
        block, layers = DEPTHS[depth]
        side, stride, pools = STEMS[stem]
        # attributes that torchvision's `_make_layer` reads
        self._norm_layer = nn.BatchNorm2d
        self.inplanes, self.dilation, self.groups, self.base_width = width, 1, 1, 64
        self.conv1 = nn.Conv2d(channels, width, side, stride, side // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if pools else nn.Identity()
        self.layer1 = self._make_layer(block, width, layers[0])
        self.layer2 = self._make_layer(block, 2 * width, layers[1], stride=2)
        self.layer3 = self._make_layer(block, 4 * width, layers[2], stride=2)
        self.layer4 = self._make_layer(block, 8 * width, layers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width * block.expansion, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def build(
    depth: str, classes: int, channels: int, width: int, stem: str, seed: int
) -> torch.nn.Module:
    """Return a `ResNet` whose first weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNet(depth, classes, channels, width, stem)


def placed(network: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Move a network to a device, channels last: 0.8 of the time on a CPU."""
    return network.to(device, memory_format=torch.channels_last)


def scores(network: torch.nn.Module, images: torch.Tensor, bf16: bool) -> torch.Tensor:
    """Return the outputs of a network as float32 (n, classes).

    Args:
        network: one of `placed`
        images: float32 (n, channels, height, width), on its device
        bf16: whether it computes in bfloat16
    """
    with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
        return network(images.contiguous(memory_format=torch.channels_last)).float()
