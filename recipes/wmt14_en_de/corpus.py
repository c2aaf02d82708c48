"""Archives and files of the corpus, and the folders in which they are looked for.

A stand-in has the same archive names and inner paths with other text (`standin.py`). Its own list
of digests and line counts replaces the published one.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping

from preprocess.text import UserError, read_lines
from recipes.common.archives import Archive, check, download, extract, part_of
from recipes.common.data import ROOT
from recipes.common.jsonfile import read_json

STAND_IN_LIST = "stand-in.json"


@dataclass(frozen=True)
class Part:
    """A source and a target file within one archive."""

    archive: str
    source: str  # path in the archive
    target: str
    lines: int  # number of lines as published

    @property
    def files(self) -> tuple[str, str]:
        """Paths in the archive of source and target."""
        return self.source, self.target


def _pair(archive: str, prefix: str, lines: int) -> Part:
    return Part(archive, f"{prefix}.en", f"{prefix}.de", lines)


# The lines of the training files are those of the WMT14 findings (Bojar et al. 2014, figure 1).
TRAIN = {
    "europarl-v7": _pair(
        "training-parallel-europarl-v7.tgz", "training/europarl-v7.de-en", 1_920_209
    ),
    "commoncrawl": _pair("training-parallel-commoncrawl.tgz", "commoncrawl.de-en", 2_399_123),
    "news-commentary-v9": _pair(
        "training-parallel-nc-v9.tgz", "training/news-commentary-v9.de-en", 201_288
    ),
}
VALID = _pair("dev.tgz", "dev/newstest2013", 3_000)
TEST = Part(
    "test-full.tgz",
    "test-full/newstest2014-deen-src.en.sgm",
    "test-full/newstest2014-deen-ref.de.sgm",
    3_003,
)
PARTS = {**TRAIN, "newstest2013": VALID, "newstest2014": TEST}

# Where each digest was published:
# - sha256 and size of the first four: tensorflow/datasets,
#   tensorflow_datasets/url_checksums/wmt14_translate.txt @ 333639b3; dmlc/gluon-nlp lists the same
#   sizes (and sha1) of commoncrawl, nc-v9 and dev in scripts/datasets/url_checksums/wmt.txt.
# - dev.tgz is that of WMT19, which holds newstest2013 under the same path as WMT14's. No digest is
#   published for WMT14's own dev.tgz.
# - md5 of test-full.tgz: sacreBLEU's list of test sets (wmt14/full). No sha256 is published. Its
#   size was measured by others, and only the md5 is checked.
_ARCHIVES = (
    Archive(
        "https://www.statmt.org/wmt13/training-parallel-europarl-v7.tgz",
        657_632_379,
        "sha256",
        "0224c7c710c8a063dfd893b0cc0830202d61f4c75c17eb8e31836103d27d96e7",
    ),
    Archive(
        "https://www.statmt.org/wmt13/training-parallel-commoncrawl.tgz",
        918_311_367,
        "sha256",
        "c7a74e2ea01ac6c920123108627e35278d4ccb5701e15428ffa34de86fa3a9e5",
    ),
    Archive(
        "https://www.statmt.org/wmt14/training-parallel-nc-v9.tgz",
        80_418_416,
        "sha256",
        "cb8953f292298e6877ae433c98912b927cb0766b303f4540512ddd286c748485",
    ),
    Archive(
        "https://data.statmt.org/wmt19/translation-task/dev.tgz",
        38_654_961,
        "sha256",
        "7a7deccf82ebb05ba508dba5eb21356492224e8f630ec4f992132b029b4b25e7",
    ),
    Archive(
        "https://www.statmt.org/wmt14/test-full.tgz",
        3_255_445,
        "md5",
        "a8cd784e006feb32ac6f3d9ec7eb389a",
    ),
)


@dataclass(frozen=True)
class Corpus:
    """WMT14 as published, or a stand-in."""

    archives: Mapping[str, Archive]  # file name -> archive
    lines: Mapping[str, int]  # part -> lines of each of its files
    folder: Path | None = None  # folder of a stand-in's archives

    @property
    def pairs(self) -> int:
        """Training pairs before cleaning."""
        return sum(self.lines[name] for name in TRAIN)

    @property
    def identity(self) -> dict[str, str]:
        """Digests of the archives, by name."""
        return {name: archive.digest for name, archive in self.archives.items()}


WMT14 = Corpus(
    archives={archive.name: archive for archive in _ARCHIVES},
    lines={name: part.lines for name, part in PARTS.items()},
)


def written_by(folder: Path) -> str:
    """Command that writes a stand-in into a folder, in backticks."""
    return f"`{shlex.join(['python', '-m', 'recipes.wmt14_en_de.standin', '--out', str(folder)])}`"


def stand_in(folder: Path) -> Corpus:
    """Return the corpus that `standin.py` wrote into a folder.

    Raises:
        UserError: its list is missing or damaged
    """
    path = folder / STAND_IN_LIST
    write = written_by(folder)
    if not path.is_file():
        raise UserError(f"found no {path}; expected a stand-in corpus: write one with {write}")
    try:
        listed = read_json(path)
        archives = {
            name: Archive(
                (folder / name).resolve().as_uri(), entry["size"], "sha256", entry["sha256"]
            )
            for name, entry in listed["archives"].items()
        }
        lines = {name: int(listed["lines"][name]) for name in PARTS}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged ({type(error).__name__}: {error}); expected the list of a "
            f"stand-in's archives: write it again with {write}"
        ) from error
    return Corpus(archives, lines, folder)


@dataclass(frozen=True)
class Location:
    """Location of the corpus: a folder of archives, one of extracted files, or a download."""

    kind: str  # "archives", "files", "download"
    folder: Path

    def __str__(self) -> str:
        return f"{'download to' if self.kind == 'download' else self.kind + ' in'} {self.folder}"


def locate(corpus: Corpus, downloads: Path, root: Path = ROOT) -> Location:
    """Find the corpus: a stand-in in its own folder, WMT14 in AUTOASSIST_DATA if that is set.

    Otherwise WMT14 is in `shared/data`, or else among the downloads.

    Raises:
        UserError: AUTOASSIST_DATA names a folder without it; a download would hide the mistake
    """
    if corpus.folder is not None:
        return Location("archives", corpus.folder)
    named = os.environ.get("AUTOASSIST_DATA")
    base = Path(named) if named else root.parent / "shared" / "data"
    files = [name for part in PARTS.values() for name in part.files]
    for folder in (base / "wmt14_en_de", base):
        if all((folder / name).is_file() for name in corpus.archives):
            return Location("archives", folder)
        if all((folder / name).is_file() for name in files):
            return Location("files", folder)
    if named:
        raise UserError(
            f"AUTOASSIST_DATA={named} holds neither the archives ({', '.join(corpus.archives)}) "
            f"nor the files in them ({files[0]}, ...), itself or in its folder wmt14_en_de: name "
            f"another folder, or unset it to download"
        )
    return Location("download", downloads)


def check_outside(corpus: Corpus, location: Location, raw: Path) -> None:
    """Refuse a corpus in `raw`, since the step that fills that folder empties it first.

    Raises:
        UserError: the folder of the corpus, or a file that a link leads to, is in `raw`
    """
    names = [name for part in PARTS.values() for name in part.files]
    if location.kind != "files":
        names = list(corpus.archives)
    inner = raw.resolve()
    for path in (location.folder, *(location.folder / name for name in names)):
        found = path.resolve()
        if found == inner or inner in found.parents:
            raise UserError(
                f"found the corpus in {inner} ({path}), which this recipe empties and fills; "
                f"expected it elsewhere: run `unset AUTOASSIST_DATA` if the recipe made that "
                f"folder, else move it (`mv {inner} {inner.parent / 'corpus'}`) and name its new "
                f"place"
            )


def to_download(corpus: Corpus, location: Location) -> int:
    """Return the number of bytes that are still to download."""
    if location.kind != "download":
        return 0
    missing = 0
    for name, archive in corpus.archives.items():
        path = location.folder / name
        if not path.is_file():
            part = part_of(path)
            missing += max(0, archive.size - (part.stat().st_size if part.is_file() else 0))
    return missing


def check_archive(corpus: Corpus, name: str, folder: Path) -> Path:
    """Return the path of an archive of the corpus in a folder.

    Raises:
        UserError: the archive is missing, damaged or another version
    """
    mend = f"write it again with {written_by(corpus.folder)}" if corpus.folder else None
    return check(corpus.archives[name], folder / name, mend)


def collect(corpus: Corpus, location: Location, out: Path) -> None:
    """Put every file of `PARTS` under `out`, at its path in its archive; existing files stay."""
    if location.kind == "files":
        for part in PARTS.values():
            for name in part.files:
                link = out / name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.unlink(missing_ok=True)
                link.symlink_to((location.folder / name).resolve())
        return
    for name, archive in corpus.archives.items():
        members = [file for part in PARTS.values() if part.archive == name for file in part.files]
        if all((out / member).is_file() for member in members):
            continue
        path = location.folder / name
        if location.kind == "download" and not path.is_file():
            download(archive, path)
        else:
            check_archive(corpus, name, location.folder)
        extract(path, members, out)


def segments(path: Path) -> Iterator[str]:
    """Yield the sentences of a WMT .sgm file, exactly as sacreBLEU reads them.

    The format is not parsed as SGML: each line has one `<seg>`, and entities stay.
    """
    for line in read_lines(path):
        if line.startswith("<seg "):
            text = re.sub(r"<seg.*?>(.*)</seg>.*?", r"\1", line)
            yield re.sub(r"\s+", " ", text.strip())
