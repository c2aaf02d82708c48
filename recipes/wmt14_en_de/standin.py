"""Write a stand-in for WMT14: the same archive names and inner paths, with other text.

    python -m recipes.wmt14_en_de.standin --out runs/stand-in --pairs 4000

The text is Multi30k, which is found or downloaded. If the data folder (AUTOASSIST_DATA, or
shared/data beside the checkout) holds `msdocs-en-de`, `tatoeba-deu-eng` and `testsets-en-de`, they
stand in for Europarl, News Commentary, newstest2013 and newstest2014.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import tarfile
import zipfile
from pathlib import Path
from typing import List, Tuple

from preprocess.text import UserError, exit_on_signals, read_lines, whole_file, whole_files, writing
from recipes.common.archives import digest_of
from recipes.common.data import MULTI30K, ROOT, find
from recipes.wmt14_en_de.corpus import PARTS, STAND_IN_LIST, TEST

MIN_PAIRS = 10  # a tenth of them is for valid and for test
Pairs = List[Tuple[str, str]]  # (English, German)


def pack(pairs: dict[str, Pairs], folder: Path) -> None:
    """Write every archive of the corpus, and the list of their digests, into `folder`.

    Raises:
        UserError: a file cannot be written
    """
    listed: dict[str, dict[str, object]] = {}
    with writing(folder / STAND_IN_LIST):
        (folder / STAND_IN_LIST).unlink(
            missing_ok=True
        )  # the old list would not fit the new archives
    for name in sorted({part.archive for part in PARTS.values()}):
        with whole_file(folder / name) as path:
            _pack_one(pairs, name, path)
        digest = digest_of(folder / name, "sha256")
        listed[name] = {"size": (folder / name).stat().st_size, "sha256": digest}
    lines_of = {name: len(pairs[name]) for name in PARTS}
    with whole_files(folder / STAND_IN_LIST) as (stream,):
        json.dump({"archives": listed, "lines": lines_of}, stream, indent=2)


def _pack_one(pairs: dict[str, Pairs], archive: str, path: Path) -> None:
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name, part in PARTS.items():
            if part.archive == archive:
                for side, inner in enumerate(part.files):
                    lines = [pair[side] for pair in pairs[name]]
                    _add(tar, inner, sgm(lines) if part == TEST else lines)


def sgm(lines: list[str]) -> list[str]:
    """Wrap sentences in the format of WMT's test sets."""
    body = [f'<seg id="{number}">{line}</seg>' for number, line in enumerate(lines, 1)]
    begin = ['<srcset setid="newstest2014" srclang="any">', '<doc sysid="ref" docid="1">', "<p>"]
    return [*begin, *body, "</p>", "</doc>", "</srcset>"]


def _add(tar: tarfile.TarFile, path: str, lines: list[str]) -> None:
    content = "".join(line + "\n" for line in lines).encode()
    info = tarfile.TarInfo(path)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def at_hand(count: int) -> dict[str, Pairs]:
    """Return pairs for every part: about `count` for training, a tenth each for valid and test.

    Raises:
        UserError: `count` leaves a part empty, or no Multi30k is found
    """
    if count < MIN_PAIRS:
        raise UserError(
            f"--pairs is {count}; expected {MIN_PAIRS} or more, so that no part is empty: give more"
        )
    named = os.environ.get("AUTOASSIST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    files = find(MULTI30K, downloads=ROOT / "runs" / "data")

    def captions(split: str) -> Pairs:
        return list(zip(*[read_lines(files[f"{split}.{lang}.gz"]) for lang in ("en", "de")]))

    train = captions("train")
    europarl, news = train[10_000:20_000], train[20_000:]
    valid, test = captions("val"), captions("test_2016_flickr")
    documents = folder / "msdocs-en-de" / "cpp-docs.en-de.tsv.gz"
    if documents.is_file():
        europarl = [tuple(line.split("\t")[:2]) for line in read_lines(documents)]  # type: ignore
    sentences = folder / "tatoeba-deu-eng" / "deu-eng.zip"
    if sentences.is_file():
        news = tatoeba(sentences)
    sets = folder / "testsets-en-de"
    if sets.is_dir():
        valid, test = (side_by_side(sets / n) for n in ("newstest2013", "flores200-devtest"))
    third = count // 3
    shuffled = random.Random(1)  # Tatoeba is sorted by length, the documents by path
    chosen = {
        name: shuffled.sample(pairs, min(third, len(pairs)))
        for name, pairs in (("europarl-v7", europarl), ("news-commentary-v9", news))
    }
    measured = count // 10
    chosen.update(newstest2013=valid[:measured], newstest2014=test[:measured])
    return {**chosen, "commoncrawl": train[:third]}


def side_by_side(prefix: Path) -> Pairs:
    """Pairs of PREFIX.en and PREFIX.de."""
    return list(zip(read_lines(Path(f"{prefix}.en")), read_lines(Path(f"{prefix}.de"))))


def tatoeba(path: Path) -> Pairs:
    """Read "English TAB German" lines out of the .zip."""
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith(".txt")), None)
        if name is None:
            raise UserError(f"{path} holds no .txt; expected sentences, English TAB German")
        rows = [line.split("\t") for line in archive.read(name).decode().split("\n")]
    return [(row[0], row[1]) for row in rows if len(row) > 1]


def main(arguments: list[str] | None = None) -> None:
    """Write the stand-in's archives; print their folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the archives")
    parser.add_argument("--pairs", type=int, default=4000, help="number of training pairs, about")
    options = parser.parse_args(arguments)
    pack(at_hand(options.pairs), options.out)
    print(options.out)


if __name__ == "__main__":
    exit_on_signals()
    main()
