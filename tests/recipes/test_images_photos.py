"""Folder of photos in ImageNet's layout."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from preprocess.text import UserError
from recipes.common import archives
from recipes.images import photos
from recipes.images.noise import add_noise
from recipes.images.photos import Photos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write red and green photos of several sizes; one red photo of each split is grey."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for channel, name in enumerate(("n01", "n02")):
            place = tmp_path / "photos" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 60, (40 + number, 50, 3))
                pixels[:, :, channel] += 180
                image = Image.fromarray(pixels.astype(np.uint8))
                if name == "n01" and number == 0:
                    image = image.convert("L")
                image.save(place / f"{number}.JPEG")
    return tmp_path / "photos"


def load(folder: Path, cache: Path) -> Photos:
    return Photos("photos", folder, cache, side=16, workers=0)


def test_batches_hold_the_photos_of_their_ids(folder: Path, tmp_path: Path) -> None:
    data = load(folder, tmp_path / "cache")
    add_noise(data, 1.0)
    batches = list(data.batches([[11, 0, 7], [2]], seed=1))
    assert [batch.ids.tolist() for batch in batches] == [[11, 0, 7], [2]]
    assert batches[0].images.shape == (3, 3, 16, 16)
    assert batches[0].labels.tolist() == data.labels[[11, 0, 7]].tolist()
    red, green = batches[0].images.mean(dim=(2, 3))[:, 0], batches[0].images.mean(dim=(2, 3))[:, 1]
    assert green[0] > red[0] and green[2] > red[2]  # images follow the ids, not the noisy labels


def test_transforms_depend_on_the_seed_alone(folder: Path, tmp_path: Path) -> None:
    def images(seed: int, workers: int) -> torch.Tensor:
        data = Photos("photos", folder, tmp_path / "cache", side=16, workers=workers)
        return torch.cat([batch.images for batch in data.batches([[1, 2], [3, 4]], seed)])

    first = images(1, workers=0)
    assert torch.equal(first, images(1, workers=0)) and torch.equal(first, images(1, workers=2))
    assert not torch.equal(first, images(2, workers=0))


def test_a_cut_seeds_no_gpu(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    torch.manual_seed(1)
    assert seeded == [1]
    list(load(folder, tmp_path / "cache").batches([[1, 2]], seed=1))
    assert seeded == [1]


def test_a_pass_after_one_that_broke_off_has_its_own_photos(folder: Path, tmp_path: Path) -> None:
    data = Photos("photos", folder, tmp_path / "cache", side=16, workers=1)
    next(broken := data.batches([[1], [2], [3], [4], [5]], seed=1))
    broken.close()
    (after,) = data.batches([[6, 7]], seed=2)
    (alone,) = load(folder, tmp_path / "cache").batches([[6, 7]], seed=2)
    assert after.ids.tolist() == [6, 7] and torch.equal(after.images, alone.images)


def test_processes_that_read_live_from_pass_to_pass(folder: Path, tmp_path: Path) -> None:
    data = Photos("photos", folder, tmp_path / "cache", side=16, workers=1)
    passes = []
    for seed, sampler in ((1, [[1, 2], [3]]), (2, [[4]])):
        ids = [batch.ids.tolist() for batch in data.batches(sampler, seed)]
        passes.append((ids, {child.pid for child in multiprocessing.active_children()}))
    (first, before), (second, after) = passes
    assert (first, second) == ([[1, 2], [3]], [[4]])
    assert before == after and len(before) == 1


def test_a_batch_is_sent_without_a_wait_for_the_device(folder: Path, tmp_path: Path) -> None:
    waits = []

    class Copies(TorchDispatchMode):
        def __torch_dispatch__(
            self, called: Any, types: Any, args: Any = (), how: Any = None
        ) -> Any:
            if called is torch.ops.aten._to_copy.default and how.get("device") == there:
                waits.append(not how.get("non_blocking", False))
            return called(*args, **(how or {}))

    there = torch.device("meta")
    data = load(folder, tmp_path / "cache")
    data.to(there)
    with Copies():
        list(data.batches([[1, 2]], seed=1))
    assert waits == [False, False]


def test_features_are_low_resolution_images_and_cached(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(folder, tmp_path / "cache")
    features = data.features()
    assert features.shape == (12, 3 * photos.LOW**2)
    monkeypatch.setattr(photos, "low_resolution", None)  # a call would fail
    assert np.array_equal(data.features(), features)


def test_images_for_measuring_are_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    data = load(folder, tmp_path / "cache")
    first, again = ([x for x, _ in data.probe()] for _ in range(2))
    assert torch.equal(torch.cat(first), torch.cat(again)) and len(torch.cat(first)) == 12
    assert torch.cat([labels for _, labels in data.test()]).tolist() == [0, 0, 1, 1]


def test_a_folder_of_another_layout_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected train/<class>/"):
        load(folder / "train", tmp_path / "cache")
    (folder / "val" / "n03").mkdir()
    (folder / "val" / "n03" / "a.JPEG").write_bytes((folder / "val/n01/0.JPEG").read_bytes())
    with pytest.raises(UserError, match="has 3 classes, train/ beside it 2"):
        load(folder, tmp_path / "cache")


@pytest.mark.parametrize("empty", ["train/n03", "val/n02"])
def test_a_class_without_photos_is_refused(folder: Path, tmp_path: Path, empty: str) -> None:
    for path in (folder / empty).glob("*"):
        path.unlink()
    (folder / empty).mkdir(exist_ok=True)
    with pytest.raises(UserError, match=f"lacks photos: .*{empty[-3:]}.*; expected photos in"):
        load(folder, tmp_path / "cache")


def test_test_photos_outside_folders_of_classes_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder / "val")
    shutil.copytree(folder / "train" / "n01", folder / "val")
    with pytest.raises(UserError, match="val lacks photos: .* class folder"):
        load(folder, tmp_path / "cache")


@pytest.mark.parametrize("kept", [0, 4, 600])
def test_a_damaged_photo_is_named(folder: Path, tmp_path: Path, kept: int) -> None:
    for split in ("train", "val"):
        path = folder / split / "n01" / "1.JPEG"
        path.write_bytes(path.read_bytes()[:kept])
    data = load(folder, tmp_path / "cache")
    with pytest.raises(UserError, match="train/n01/1.JPEG is no whole photo .*; expected"):
        data.features()
    with pytest.raises(UserError, match="val/n01/1.JPEG is no whole photo .*; expected"):
        list(data.test())


def test_imagenette_is_downloaded_and_found_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "local_folder", lambda corpus: None)
    archive = tmp_path / "imagenette2-160.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, "imagenette2-160")
    digest = hashlib.md5(archive.read_bytes()).hexdigest()
    here = replace(photos.IMAGENETTE, url=archive.as_uri(), digest=digest)
    monkeypatch.setattr(photos, "IMAGENETTE", replace(here, size=archive.stat().st_size))
    found = photos.published(tmp_path / "downloads")
    assert len(list((found / "train").glob("*/*.JPEG"))) == 12
    assert photos.published(tmp_path / "downloads") == found


def test_what_a_killed_call_unpacked_is_removed(folder: Path, tmp_path: Path) -> None:
    archive, target = tmp_path / "a.tgz", tmp_path / "out" / "a"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, "photos")
    killed = multiprocessing.get_context("fork").Process(
        target=unpack_in_part, args=(archive, target)
    )
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    (left,) = target.parent.iterdir()
    assert left != target and (left / "begun").is_file()
    assert photos._unpacked(archive, target) == target
    assert [path.name for path in target.parent.iterdir()] == ["a"]
    assert [path.name for path in target.iterdir()] == ["photos"]


def unpack_in_part(archive: Path, target: Path) -> None:
    """Write one file of an archive, and die: the target of a process."""

    def extractall(_: Any, part: Path) -> None:
        part.mkdir(exist_ok=True)
        (part / "begun").touch()
        os.kill(os.getpid(), signal.SIGKILL)

    tarfile.TarFile.extractall = extractall  # type: ignore[assignment]
    photos._unpacked(archive, target)
