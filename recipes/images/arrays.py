"""Images in memory, and the interface of any set of images to the training."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, NamedTuple, Protocol

import numpy as np
import torch
from torch.nn import functional

PROBE = 5_000  # training images on which the training loss is measured
CHUNK = 500  # images of a batch in evaluation
PADDING = 4  # pixels by which an image of CIFAR-10 moves at most


class Batch(NamedTuple):
    """Images of one update."""

    ids: np.ndarray  # int64 (n,)
    images: torch.Tensor  # float32 (n, channels, height, width), normalised
    labels: torch.Tensor  # int64 (n,)


Pairs = Iterator["tuple[torch.Tensor, torch.Tensor]"]  # images as in `Batch`, and labels


class Images(Protocol):
    """A set of images to train and test on.

    Attributes:
        name: name of the set
        classes: number of classes
        channels: channels of an image
        labels: training labels, int64 (n,)
        true_labels: the same before labels were replaced, int64 (n,)
    """

    name: str
    classes: int
    channels: int
    labels: np.ndarray
    true_labels: np.ndarray

    def features(self) -> np.ndarray:
        """Features of the training images for the Assistant: float32 (n, dimensions)."""

    def batches(self, sampler: Iterable[Any], seed: int) -> Iterator[Batch]:
        """Yield the images of one pass of a batch sampler.

        Args:
            sampler: yields the ids of each batch
            seed: seed of the random transforms, another one for each pass
        """

    def probe(self) -> Pairs:
        """Yield a fixed uniform sample of the training images, without random transforms."""

    def test(self) -> Pairs:
        """Yield the test images."""

    def to(self, device: torch.device) -> None:
        """Yield images and labels on this device from now on."""


def pixel_features(pixels: np.ndarray) -> np.ndarray:
    """Centre rows of pixels, and scale each to unit norm.

    Args:
        pixels: (n, dimensions)

    Returns:
        float32 (n, dimensions)
    """
    centred = pixels.astype(np.float32)
    centred -= centred.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    centred /= np.maximum(norms, np.finfo(np.float32).tiny)
    return centred


def probe_ids(count: int) -> np.ndarray:
    """Ids of at most `PROBE` of `count` images, the same in every run: int64, ascending."""
    if count <= PROBE:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, PROBE, replace=False))


class Arrays:
    """Images in memory.

    Args:
        name: name of the set
        images, test_images: uint8 (n, channels, height, width)
        labels, test_labels: integers (n,)
        classes: number of classes
    """

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
        """Move images and test labels to the device; training labels stay on the host."""
        self.device = device
        for name in ("images", "test_images", "test_labels", "mean", "std"):
            setattr(self, name, getattr(self, name).to(device))

    def features(self) -> np.ndarray:
        """Stacked pixels, as `pixel_features` gives them."""
        return pixel_features(self.images.cpu().numpy().reshape(len(self.labels), -1))

    def batches(self, sampler: Iterable[Any], seed: int) -> Iterator[Batch]:
        """Yield the images of one pass of a batch sampler, shifted and mirrored if `moves` is set.

        Args:
            sampler: yields the ids of each batch
            seed: seed of shifts and mirroring, another one for each pass
        """
        generator = torch.Generator().manual_seed(seed)
        labels = torch.from_numpy(self.labels).to(self.device)
        for found in sampler:
            ids = np.asarray(found, dtype=np.int64)
            index = sent(torch.from_numpy(ids), self.device)
            images = self._normal(self.images[index])
            yield Batch(ids, moved(images, generator) if self.moves else images, labels[index])

    def probe(self) -> Pairs:
        """Yield a fixed uniform sample of the training images, neither shifted nor mirrored."""
        index = torch.from_numpy(probe_ids(len(self.labels)))
        labels = torch.from_numpy(self.labels)[index].to(self.device)
        return self._chunks(self.images[index.to(self.device)], labels)

    def test(self) -> Pairs:
        """Yield the test images."""
        return self._chunks(self.test_images, self.test_labels)

    def _chunks(self, images: torch.Tensor, labels: torch.Tensor) -> Pairs:
        for start in range(0, len(images), CHUNK):
            end = start + CHUNK
            yield self._normal(images[start:end]), labels[start:end]

    def _normal(self, images: torch.Tensor) -> torch.Tensor:
        return (images.float() - self.mean) / self.std


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor from the host to the device, without a wait for the device."""
    if device.type == "cuda":
        values = values.pin_memory()  # a copy of other memory waits
    return values.to(device, non_blocking=True)


def moved(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by at most `PADDING` pixels and mirror half of them (He et al. 2016).

    Args:
        images: (n, channels, height, width); pixels from outside the image are 0
        generator: a generator on the CPU, for images on any device

    Returns:
        images of the same shape
    """
    n, _, height, width = images.shape
    draws = torch.randint(0, 2 * PADDING + 1, (2, n, 1), generator=generator)
    mirrored = torch.rand(n, generator=generator) < 0.5
    rows = draws[0] + torch.arange(height)
    columns = draws[1] + torch.arange(width)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    padded = functional.pad(images, (PADDING,) * 4)
    which = torch.arange(n, device=images.device)[:, None, None]
    rows, columns = sent(rows, images.device), sent(columns, images.device)
    picked = padded[which, :, rows[:, :, None], columns[:, None, :]]  # channels come last
    return picked.permute(0, 3, 1, 2).contiguous()
