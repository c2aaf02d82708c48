"""Images that fit into memory, and what a training asks of any set of images."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, NamedTuple, Protocol

import numpy as np
import torch
from torch.nn import functional

PROBE = 5_000  # training images on which the training loss is measured
CHUNK = 500  # images without a backward pass, at once
PADDING = 4  # pixels by which an image of CIFAR-10 moves at most


class Batch(NamedTuple):
    """What one update trains on."""

    ids: np.ndarray  # int64 (n,)
    images: torch.Tensor  # float32 (n, channels, height, width), normalised
    labels: torch.Tensor  # int64 (n,)


Pairs = Iterator["tuple[torch.Tensor, torch.Tensor]"]  # images as in `Batch`, and labels


class Images(Protocol):
    """A set of images to train and test on.

    `labels` int64 (n,) are what is trained on, `true_labels` what they were before noise.
    """

    name: str
    classes: int
    channels: int
    labels: np.ndarray
    true_labels: np.ndarray

    def features(self) -> np.ndarray:
        """What the Assistant sees: float32 (n, dimensions)."""

    def batches(self, sampler: Iterable[Any], seed: int) -> Iterator[Batch]:
        """The images of one pass of a batch sampler.

        Args:
            seed: of the transforms; another one in each pass
        """

    def probe(self) -> Pairs:
        """A fixed uniform sample of what is trained on, as in testing."""

    def test(self) -> Pairs:
        """What is tested on."""

    def to(self, device: torch.device) -> None:
        """Yield everything on this device from now on."""


def pixel_features(pixels: np.ndarray) -> np.ndarray:
    """Stacked pixels without their mean, of unit norm, and a constant 1.

    Args:
        pixels: (n, dimensions)

    Returns:
        float32 (n, dimensions + 1)
    """
    found = np.ones((len(pixels), pixels.shape[1] + 1), dtype=np.float32)
    centred = found[:, :-1]
    centred[:] = pixels
    centred -= centred.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    centred /= np.maximum(norms, np.finfo(np.float32).tiny)
    return found


def probe_ids(count: int) -> np.ndarray:
    """Ids of at most `PROBE` images, the same in every run: int64, ascending."""
    if count <= PROBE:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, PROBE, replace=False))


class Arrays:
    """Images in memory, uint8 (n, channels, height, width), with labels (n,)."""

    def __init__(
        self,
        name: str,
        images: np.ndarray,
        labels: np.ndarray,
        test_images: np.ndarray,
        test_labels: np.ndarray,
        classes: int,
    ) -> None:
        self.name, self.classes, self.channels = name, classes, images.shape[1]
        self.images = torch.from_numpy(np.array(images))
        self.labels = self.true_labels = np.asarray(labels, dtype=np.int64)
        self.test_images = torch.from_numpy(np.array(test_images))
        self.test_labels = torch.from_numpy(np.asarray(test_labels, dtype=np.int64))
        self.moves = False  # whether images are moved and mirrored in training
        self.device = torch.device("cpu")
        sample = self.images[torch.from_numpy(probe_ids(len(labels)))].float()
        self.mean = sample.mean(dim=(0, 2, 3), keepdim=True)
        self.std = sample.std(dim=(0, 2, 3), keepdim=True).clamp(min=1e-6)

    def to(self, device: torch.device) -> None:
        """Keep images there; ids and labels stay here as well."""
        self.device = device
        for name in ("images", "test_images", "test_labels", "mean", "std"):
            setattr(self, name, getattr(self, name).to(device))

    def features(self) -> np.ndarray:
        """Stacked pixels; see `pixel_features`."""
        return pixel_features(self.images.cpu().numpy().reshape(len(self.labels), -1))

    def batches(self, sampler: Iterable[Any], seed: int) -> Iterator[Batch]:
        """The images of one pass of a batch sampler, moved and mirrored by the seed."""
        generator = torch.Generator().manual_seed(seed)
        labels = torch.from_numpy(self.labels).to(self.device)
        for found in sampler:
            ids = np.asarray(found, dtype=np.int64)
            index = torch.from_numpy(ids).to(self.device)
            images = self._normal(self.images[index])
            yield Batch(ids, moved(images, generator) if self.moves else images, labels[index])

    def probe(self) -> Pairs:
        """A fixed uniform sample of what is trained on, neither moved nor mirrored."""
        index = torch.from_numpy(probe_ids(len(self.labels)))
        labels = torch.from_numpy(self.labels)[index].to(self.device)
        return self._chunks(self.images[index.to(self.device)], labels)

    def test(self) -> Pairs:
        """What is tested on."""
        return self._chunks(self.test_images, self.test_labels)

    def _chunks(self, images: torch.Tensor, labels: torch.Tensor) -> Pairs:
        for start in range(0, len(images), CHUNK):
            end = start + CHUNK
            yield self._normal(images[start:end]), labels[start:end]

    def _normal(self, images: torch.Tensor) -> torch.Tensor:
        return (images.float() - self.mean) / self.std


def moved(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Move each image by at most `PADDING` pixels and mirror half of them (He et al. 2016).

    Args:
        images: (n, channels, height, width); what comes in from outside is 0
        generator: on the CPU, whatever the device of the images
    """
    n, _, height, width = images.shape
    draws = torch.randint(0, 2 * PADDING + 1, (2, n, 1), generator=generator)
    mirrored = torch.rand(n, generator=generator) < 0.5
    rows = draws[0] + torch.arange(height)
    columns = draws[1] + torch.arange(width)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    padded = functional.pad(images, (PADDING,) * 4)
    which = torch.arange(n)[:, None, None].to(images.device)
    rows, columns = rows.to(images.device), columns.to(images.device)
    picked = padded[which, :, rows[:, :, None], columns[:, None, :]]  # channels come last
    return picked.permute(0, 3, 1, 2).contiguous()
