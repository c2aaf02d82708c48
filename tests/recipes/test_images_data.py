"""Sets of images: reading, noise, features, batches and augmentation."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from preprocess.text import UserError
from recipes.common import archives
from recipes.images import arrays, cifar, mnist, noise, sets
from tests.support.images import small


def write_idx(path: Path, array: np.ndarray) -> Path:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))
    return path


def test_idx_is_read_as_written(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)
    assert np.array_equal(mnist.read_idx(write_idx(tmp_path / "a.gz", images)), images)


@pytest.mark.parametrize("content", [b"", b"\0\0\x0d\x01\0\0\0\x01x", b"\0\0\x08\x01\0\0\0\x02x"])
def test_another_file_than_idx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    with pytest.raises(UserError, match="no idx file of unsigned bytes; expected"):
        mnist.read_idx(tmp_path / "a.gz")


def test_a_quarter_turn_is_counter_clockwise() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 7, 7), dtype=np.uint8)
    turned = mnist.rotate(images, np.array([0.0, 90.0], np.float32)).astype(int)
    assert np.abs(turned[0] - images[0]).max() <= 1
    assert np.abs(turned[1] - np.rot90(images[1]).astype(int)).max() <= 1


def test_angles_fill_the_range_and_are_repeatable() -> None:
    found = mnist.angles(5_000, "train")
    assert -90.0 <= found.min() < -85.0 and 85.0 < found.max() <= 90.0
    assert np.array_equal(found, mnist.angles(5_000, "train"))
    assert not np.array_equal(found, mnist.angles(5_000, "test"))


def test_a_grid_is_cut_row_by_row(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    grid = images.reshape(2, 3, 3, 32, 32).transpose(0, 3, 1, 4, 2).reshape(64, 96, 3)
    Image.fromarray(grid).save(tmp_path / "a.webp", lossless=True)
    assert np.array_equal(cifar.read_grid(tmp_path / "a.webp"), images)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publish an archive like CIFAR-10's, with 8 images a file, at a local URL."""
    monkeypatch.delenv("AUTOASSIST_DATA", raising=False)
    monkeypatch.setattr(archives, "local_folder", lambda corpus: None)
    monkeypatch.setattr(cifar, "HELD_OUT", 5)
    rng = np.random.default_rng(0)
    folder = tmp_path / cifar.INSIDE
    folder.mkdir()
    for number, name in enumerate((*cifar.BATCHES, "test_batch")):
        rows = rng.integers(0, 256, (8, cifar.ROW), dtype=np.uint8)
        rows[:, 0] = number
        rows.tofile(folder / f"{name}.bin")
    archive = tmp_path / cifar.BINARY.name
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, cifar.INSIDE)
    content = archive.read_bytes()
    digest = hashlib.md5(content).hexdigest()
    here = replace(cifar.BINARY, url=archive.as_uri(), size=len(content), digest=digest)
    monkeypatch.setattr(cifar, "BINARY", here)
    return folder


def test_cifar_by_download_holds_out_the_last_training_images(
    published: Path, tmp_path: Path
) -> None:
    data = cifar.load(tmp_path / "downloads")
    assert data.labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8 + [3] * 8 + [4] * 3
    assert data.test_labels.tolist() == [4] * 5 + [5] * 8
    first = np.fromfile(published / "data_batch_1.bin", np.uint8)[1 : cifar.ROW]
    assert np.array_equal(data.images[0].numpy().reshape(-1), first)
    assert data.moves


def test_an_archive_in_the_folder_of_data_is_taken(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("AUTOASSIST_DATA", str(tmp_path))
    archive = tmp_path / cifar.BINARY.name
    with pytest.raises(UserError, match="is damaged or another version"):
        cifar.load(tmp_path / "downloads")
    archive.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="holds no cifar10; .*or put cifar-10-binary.tar.gz into"):
        cifar.load(tmp_path / "downloads")


def test_a_changed_archive_is_refused(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar, "BINARY", replace(cifar.BINARY, digest="0" * 32))
    with pytest.raises(UserError, match="expected"):
        cifar.load(tmp_path / "downloads")


def test_a_cut_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(cifar.ROW - 1))
    with pytest.raises(UserError, match="expected a multiple of 3,073"):
        cifar.read_binary(tmp_path / "a.bin")


def test_noise_replaces_its_share_of_the_training_labels() -> None:
    labels = np.arange(10_000) % 10
    found = noise.replaced(labels, 10, 0.4)
    assert np.array_equal(found, noise.replaced(labels, 10, 0.4))
    assert 0.34 < (found != labels).mean() < 0.38  # a tenth of the new labels equal the old
    assert np.array_equal(noise.replaced(labels, 10, 0.0), labels)
    data = small()
    before = data.test_labels.clone()
    noise.add_noise(data, 1.0)
    assert (data.labels != data.true_labels).any()
    assert torch.equal(data.test_labels, before)


def test_features_are_pixels_of_unit_norm() -> None:
    features = small().features()
    assert features.dtype == np.float32 and features.shape == (96, 64)
    assert np.allclose(np.linalg.norm(features, axis=1), 1.0, atol=1e-5)
    assert np.isfinite(arrays.pixel_features(np.zeros((2, 3)))).all()


def test_batches_hold_the_images_and_labels_of_their_ids() -> None:
    data = small()
    (batch,) = data.batches([[5, 3, 90]], seed=1)
    assert batch.ids.tolist() == [5, 3, 90]
    assert batch.labels.tolist() == data.labels[[5, 3, 90]].tolist()
    restored = batch.images * data.std + data.mean
    assert torch.allclose(restored, data.images[[5, 3, 90]].float(), atol=1e-3)


def test_measuring_covers_the_test_set_and_the_probe_once() -> None:
    data = small()
    assert sum(len(labels) for _, labels in data.test()) == 48
    assert sum(len(labels) for _, labels in data.probe()) == 96
    assert len(np.unique(arrays.probe_ids(20_000))) == arrays.PROBE


def test_images_are_shifted_and_mirrored() -> None:
    images = torch.rand(200, 2, 8, 8)
    found = arrays.moved(images, torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(images, (arrays.PADDING,) * 4)
    shifts, mirrored = set(), 0
    for image, whole in zip(found, padded):
        places = [(i, j, m) for i in range(9) for j in range(9) for m in (False, True)]
        (place,) = [
            (i, j, m)
            for i, j, m in places
            if torch.equal(image.flip(2) if m else image, whole[:, i : i + 8, j : j + 8])
        ]
        shifts.add(place[:2])
        mirrored += place[2]
    assert len(shifts) > 50 and 70 < mirrored < 130
    again = arrays.moved(images, torch.Generator().manual_seed(1))
    assert torch.equal(found, again)


@pytest.mark.parametrize("name", ["imagenet", "mnist-noise101", "-noise40"])
def test_a_set_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"found the set '{name}'; expected one of mnist"):
        sets.parts(name)


def test_the_name_of_a_set_gives_its_noise_title_and_stem() -> None:
    assert sets.parts("cifar10-noise40") == ("cifar10", 0.4)
    assert sets.title("cifar10-noise40") == "CIFAR-10, 40% of labels replaced"
    assert sets.stem("cifar10-noise40") == "small"
