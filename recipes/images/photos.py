"""Photos in a folder of ImageNet's layout: train/<class>/*.JPEG, and val/ or test/ beside it."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterable, Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from preprocess.text import UserError, held, staging, whole_file, with_parents, writing
from recipes.common.archives import Archive, fetched
from recipes.common.data import Corpus, find
from recipes.images.arrays import Batch, Pairs, pixel_features, probe_ids
from recipes.images.vision import ImageFolder, transforms

LOW = 16  # side in pixels of the images that the Assistant sees
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision's
CHUNK = 50  # photos of a batch in evaluation
LARGER = 256 / 224  # side of a scaled test photo over that of the square cut from its middle

CALTECH = Corpus(
    name="caltech101-small",
    url="",
    sha256={
        "caltech101-20.zip": "c730327a7246e749684e6efa5227170f7f5f0ad3f19ee4facb2019f6c6f675ae"
    },
)
IMAGENETTE = Archive(
    url="https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
    size=99_003_388,
    algorithm="md5",
    digest="e793b78cc4c9e9a4ccc0c1155377a412",
)


def test_folder(folder: Path) -> Path:
    """Return val/ or test/ of a folder of photos.

    Raises:
        UserError: the folder has neither, or no train/
    """
    found = [folder / name for name in ("val", "test") if (folder / name).is_dir()]
    if not found or not (folder / "train").is_dir():
        raise UserError(
            f"{folder} holds no photos in ImageNet's layout; expected train/<class>/*.JPEG and "
            f"val/<class>/*.JPEG in it: name another folder with --photos"
        )
    return found[0]


def published(downloads: Path) -> Path:
    """Return a folder of photos: 20 classes of Caltech-101 if they are at hand, else Imagenette.

    Raises:
        UserError: the archive cannot be downloaded, or is damaged
    """
    archive = fetched(IMAGENETTE, CALTECH, downloads)
    if archive is None:
        archive = find(CALTECH, downloads)["caltech101-20.zip"]
        return _unpacked(archive, downloads / "caltech101-20")
    return _unpacked(archive, downloads / "imagenette2-160") / "imagenette2-160"


def _unpacked(archive: Path, folder: Path) -> Path:
    """Unpack an archive into a folder, which appears when it is complete, and return the folder."""
    if folder.is_dir():
        return folder
    place = folder.with_name(f".{folder.name}")
    with writing(folder), with_parents(folder), staging(place) as part, held(part):
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as photos:
                photos.extractall(part)
        else:
            with tarfile.open(archive) as members:
                if hasattr(tarfile, "data_filter"):  # not before Python 3.11.4
                    members.extraction_filter = tarfile.data_filter
                members.extractall(part)
        part.rename(folder)
    return folder


def split(folder: Path, transform: Any) -> Any:
    """Return the `ImageFolder` of train/, val/ or test/.

    Raises:
        UserError: a class has no photos, or there is no class
    """
    try:
        return ImageFolder(str(folder), transform, loader=read_photo)
    except FileNotFoundError as error:
        raise UserError(
            f"{folder} lacks photos: {str(error).rstrip('.')}; expected photos in <class>/ for "
            f"each class: add them, or remove the empty folder"
        ) from error


class _Flat(Dataset):
    """Photos as (image, label), with given labels in place of those of the folders."""

    def __init__(self, photos: Any, labels: np.ndarray) -> None:
        self.photos, self.labels = photos, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int]:
        return self.photos[item][0], int(self.labels[item])


class _Cuts(Dataset):
    """Photos as (id, image, label), by (seed, id): the transforms depend on these two alone."""

    def __init__(self, photos: _Flat) -> None:
        self.photos = photos

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, torch.Tensor, int]:
        seed, item = key
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed seeds GPUs too; without one it takes 0.9 ms a photo
            torch.default_generator.manual_seed(seed * len(self.photos) + item)
            return item, *self.photos[item]


class _Passes:
    """Batch sampler of a loader that outlives a pass; each pass sets its sampler and seed."""

    sampler: Iterable[Any] = ()
    seed = 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for ids in self.sampler:
            yield [(self.seed, int(item)) for item in ids]


class Photos:
    """Photos that worker processes read from the disk during training.

    Args:
        name: name of the set
        folder: folder in ImageNet's layout
        cache: folder in which features are kept
        side: side in pixels of the square that is cut from a photo
        workers: processes that read photos; 0: this process reads them

    Raises:
        UserError: the folder has another layout, a class without photos, or other classes in one
            of its parts
    """

    channels = 3

    def __init__(self, name: str, folder: Path, cache: Path, side: int, workers: int) -> None:
        self.name, self.cache, self.workers = name, cache, workers
        tensor = [
            transforms.ToImage(),
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize(MEAN, STD),
        ]
        cut = [transforms.RandomResizedCrop(side), transforms.RandomHorizontalFlip()]
        middle = [transforms.Resize(round(side * LARGER)), transforms.CenterCrop(side)]
        held_out = test_folder(folder)
        self.photos = split(folder / "train", transforms.Compose([*cut, *tensor]))
        still = transforms.Compose([*middle, *tensor])
        self._still = split(folder / "train", still)
        self._test = split(held_out, still)
        if self._test.classes != self.photos.classes:
            raise UserError(
                f"{held_out} has {len(self._test.classes)} classes, train/ beside it "
                f"{len(self.photos.classes)} or others; expected the same folders in both"
            )
        self.classes = len(self.photos.classes)
        self.labels = self.true_labels = np.array(self.photos.targets, dtype=np.int64)
        self.device = torch.device("cpu")
        self._passes = _Passes()
        self._train: DataLoader | None = None  # its processes live from pass to pass

    def to(self, device: torch.device) -> None:
        """Yield images and labels on this device from now on."""
        self.device = device

    def features(self) -> np.ndarray:
        """Stacked pixels of 16 x 16 images, float32 (n, 768); the cache keeps the pixels."""
        names = "\n".join(Path(path).as_posix() for path, _ in self.photos.samples)
        key = hashlib.sha256(names.encode()).hexdigest()[:16]
        path = self.cache / f"{self.name}.{LOW}.{key}.npy"
        if not path.is_file():
            with ThreadPoolExecutor() as pool:
                pixels = np.stack(list(pool.map(low_resolution, names.split("\n"))))
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as part, open(part, "wb") as stream:
                np.save(stream, pixels)
        return pixel_features(np.load(path))

    def batches(self, sampler: Iterable[Any], seed: int) -> Iterator[Batch]:
        """Yield the photos of one pass of a batch sampler, randomly cut and mirrored.

        Args:
            sampler: yields the ids of each batch
            seed: seed of cuts and mirroring, another one for each pass
        """
        if self._train is None:
            data, kept = _Cuts(_Flat(self.photos, self.labels)), self.workers > 0
            self._train = self._loader(data, batch_sampler=self._passes, persistent_workers=kept)
        self._passes.sampler, self._passes.seed = sampler, seed
        for ids, images, labels in self._train:
            # in pinned memory, so no copy waits for the device
            there = (values.to(self.device, non_blocking=True) for values in (images, labels))
            yield Batch(np.asarray(ids), *there)

    def probe(self) -> Pairs:
        """Yield a fixed uniform sample of the training photos, cut from their middle."""
        flat = _Flat(self._still, self.labels)
        return self._pairs(Subset(flat, probe_ids(len(self.labels)).tolist()))

    def test(self) -> Pairs:
        """Yield the test photos, cut from their middle."""
        return self._pairs(self._test)

    def _pairs(self, data: Any) -> Pairs:
        for images, labels in self._loader(data, batch_size=CHUNK):
            yield images.to(self.device), labels.to(self.device)

    def _loader(self, data: Any, **how: Any) -> DataLoader:
        pinned = self.device.type == "cuda"
        return DataLoader(data, num_workers=self.workers, pin_memory=pinned, **how)


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Open a photo; turn an error of reading it into a UserError."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            yield image
    except (OSError, SyntaxError) as error:  # PIL raises SyntaxError for a broken PNG
        raise UserError(
            f"{path} is no whole photo ({error}); expected one that PIL reads: fetch it again, or "
            f"remove it"
        ) from error


def read_photo(path: str) -> Any:
    """Return a photo as an image of PIL, red, green and blue.

    Raises:
        UserError: the file is damaged, or no photo
    """
    with _opened(path) as image:
        return image.convert("RGB")


def low_resolution(path: str) -> np.ndarray:
    """Return the pixels of a photo scaled to 16 x 16, red, green and blue: uint8 (768,).

    Raises:
        UserError: the file is damaged, or no photo
    """
    from PIL import Image

    with _opened(path) as image:
        image.draft("RGB", (4 * LOW, 4 * LOW))  # a JPEG is read at about that size
        small = image.convert("RGB").resize((LOW, LOW), Image.Resampling.BOX)
        return np.asarray(small).reshape(-1)
