"""Find a public corpus on this machine, or download it; check every file by its sha256.

If AUTOASSIST_DATA is set, the folder that it names must hold the corpus. Otherwise the corpus comes
from `shared/data` beside the checkout, or else from its public repository. The repository is read
at one commit, so the bytes never change.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Mapping

from tqdm import tqdm

from preprocess.text import UserError, unfinished

ROOT = Path(__file__).resolve().parents[2]  # the checkout
TIMEOUT = 30  # seconds without a byte after which a download fails
CHUNK = 1 << 16  # bytes


@dataclass(frozen=True)
class Corpus:
    """Files of a corpus, with their public address and their sha256."""

    name: str  # also the name of the folder on disk
    url: str  # address of the folder, without a final slash; empty: not published in this form
    sha256: Mapping[str, str]  # file name -> hexadecimal digest


MULTI30K = Corpus(
    name="multi30k",
    url=(
        "https://raw.githubusercontent.com/multi30k/dataset/"
        "a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw"
    ),
    sha256={
        "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
        "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
        "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
        "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
        "test_2016_flickr.en.gz": (
            "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"
        ),
        "test_2016_flickr.de.gz": (
            "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"
        ),
    },
)

TATOEBA = Corpus(
    name="tatoeba-deu-eng",
    url=(
        "https://raw.githubusercontent.com/jhamburg/dats6450_nlp/"
        "fc38d83c4353d753fb9b34d98e945cbc5fab2811"
    ),
    sha256={
        "deu-eng.zip": "71750f704aeb6b0a01fe57341c3051b9efd98f63b61ee266b2c2283d1b80cb71",
    },
)

# MicrosoftDocs/cpp-docs, paired line by line with its German edition
MSDOCS = Corpus(
    name="msdocs-en-de",
    url="",
    sha256={
        "cpp-docs.en-de.tsv.gz": (
            "60abfe6a2731a472e2ded8be9f92ede3aad384a38f99228aa574b8238956045b"
        ),
    },
)

# paracrawl/human-evaluations @ 677ccfa70e11e6254e2db232869ae49db188379e, merged into one file
PARACRAWL = Corpus(
    name="paracrawl-labelled-en-de",
    url="",
    sha256={
        "en-de.tsv.gz": "820fb36e3e646b964d228c6b135bb0aa7f666fe98ba75b46f0a5564be605b2d2",
    },
)

# derived from the repositories of MDN: block i of a page beside block i of an older translation
MDN_DE = Corpus(
    name="mdn-naive",
    url="",
    sha256={
        "en-de.test.tsv.gz": "c573082097065b0cda72d8a934e5fc00892063127ffd73523fa8287b8d773acc",
        "en-de.train.tsv.gz": "048e5ef83c32e5f08f053a875dbf39963ffa2f44d18c1063cc67ec232de61fea",
        "en-de.valid.tsv.gz": "78143c9311b015d73ba810029f37aa6b8d3b852f5b44cc90a11270111cc60250",
    },
)
MDN_JA = Corpus(
    name="mdn-naive",
    url="",
    sha256={
        "en-ja.test.tsv.gz": "dcdca359653bd54b0e626ada91eb5ef3de0ff24764fb4743bd5de622d14b9863",
        "en-ja.train.tsv.gz": "c43271d60e7b1cf3a895b4dd3854b2da25ff0ae7c0fd902991a4b6935370a02d",
        "en-ja.valid.tsv.gz": "0d4880afdd6ddb06977db2dc0ad0cceb593f6ebccba15e8fd01a46ae266aea28",
    },
)


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes.

    The package has the same function. It is not imported here, since `recipes.compare.one_run`
    trains in its own process, and the package registers its task only where fairseq is imported
    first.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def check(path: Path, expected: str) -> Path:
    """Return `path` if its sha256 is the expected one.

    Raises:
        UserError: the file has another sha256
    """
    found = sha256_of(path)
    if found != expected:
        raise UserError(
            f"{path} is damaged or another version: sha256 {found}, expected {expected}; "
            f"remove it (`rm {shlex.quote(str(path))}`) and run this again"
        )
    return path


def local_folder(corpus: Corpus, root: Path = ROOT) -> Path | None:
    """Return the folder on this machine that holds the corpus, or None to download it.

    Raises:
        UserError: AUTOASSIST_DATA names a folder without it; a download would hide the mistake
    """
    named = os.environ.get("AUTOASSIST_DATA")
    bases = [Path(named)] if named else [root.parent / "shared" / "data"]
    for folder in [bases[0] / corpus.name, bases[0]]:
        if all((folder / name).is_file() for name in corpus.sha256):
            return folder
    if named:
        raise UserError(
            f"AUTOASSIST_DATA={named} holds no {corpus.name}; expected {', '.join(corpus.sha256)} "
            f"in it or in its folder {corpus.name}: name another folder, or unset it to download"
        )
    return None


def download(url: str, path: Path, expected: str) -> Path:
    """Download one file, which appears under `path` when it is complete and its sha256 is right.

    Raises:
        UserError: the download failed, or has another sha256
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = unfinished(path)
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, open(part, "wb") as stream:
            size = int(response.headers.get("Content-Length") or 0) or None
            with tqdm.wrapattr(response, "read", total=size, desc=path.name) as reader:
                shutil.copyfileobj(reader, stream, CHUNK)
        found = sha256_of(part)
        if found != expected:
            raise UserError(
                f"{url} came as sha256 {found}, expected {expected}; the download was cut short or "
                f"changed on its way: run this again"
            )
        os.replace(part, path)
    except (HTTPException, OSError) as error:
        raise UserError(
            f"cannot download {url} ({error}); run this again, or fetch the files by other means "
            f"and name their folder in AUTOASSIST_DATA"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def find(corpus: Corpus, downloads: Path, root: Path = ROOT) -> dict[str, Path]:
    """Return the checked path of every file of the corpus, by its name.

    Raises:
        UserError: a file is damaged, or is neither found nor downloaded
    """
    folder = local_folder(corpus, root)
    if folder is not None:
        print(f"{corpus.name}: found in {folder}", flush=True)
        return {name: check(folder / name, digest) for name, digest in corpus.sha256.items()}
    if not corpus.url:
        raise UserError(
            f"found no {corpus.name} in {root.parent / 'shared' / 'data'}, and it cannot be "
            f"downloaded: it was derived from public files and is published nowhere as it is; name "
            f"the folder that holds {', '.join(corpus.sha256)} in AUTOASSIST_DATA"
        )
    paths = {}
    for name, digest in corpus.sha256.items():
        path = downloads / corpus.name / name
        if path.is_file():
            paths[name] = check(path, digest)
        else:
            paths[name] = download(f"{corpus.url}/{name}", path, digest)
    return paths
