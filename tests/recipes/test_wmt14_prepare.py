"""WMT14's preparation: what is refused before anything is removed, what a dry run asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocess.text import UserError
from recipes.common.steps import Steps
from recipes.wmt14_en_de import corpus as wmt14
from recipes.wmt14_en_de import prepare as script
from recipes.wmt14_en_de.settings import SCALES
from recipes.wmt14_en_de.standin import pack

PAIR = [("A dog .", "Ein Hund .")]


@pytest.fixture
def small(tmp_path: Path) -> wmt14.Corpus:
    pack(dict.fromkeys(wmt14.PARTS, PAIR), tmp_path / "stand-in")
    return wmt14.stand_in(tmp_path / "stand-in")


class First(Steps):
    """The real steps, as far as the first of them."""

    def run(self, name: str, *rest: object) -> bool:
        return super().run(name, *rest) if name == "raw" else False  # type: ignore[arg-type]


def prepare(corpus: wmt14.Corpus, location: wmt14.Location, out: Path) -> None:
    steps = First(out / "steps", script.STEPS)
    script.prepare(corpus, location, out, "paper", SCALES["tiny"], 1, steps)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("named", ["raw", "raw/mine", "link", "links"])
def test_files_in_the_folder_of_step_raw_are_refused_before_they_are_removed(
    small: wmt14.Corpus, tmp_path: Path, named: str
) -> None:
    """What is named is that folder, one in it, a link to it, or a folder of links into it."""
    archives = wmt14.locate(small, tmp_path)
    prepare(small, archives, tmp_path / "out")  # so that raw is this step's to remove
    raw, folder = tmp_path / "out" / "raw", tmp_path / "out" / named
    if named == "raw/mine":
        wmt14.collect(small, archives, folder)
    elif named == "link":
        folder.symlink_to(raw)
    elif named == "links":
        wmt14.collect(small, wmt14.Location("files", raw), folder)
    before = contents(raw)
    with pytest.raises(UserError, match="out/raw.*expected it elsewhere"):
        prepare(small, wmt14.Location("files", folder), tmp_path / "out")
    assert contents(raw) == before and len(before) >= 10


def test_archives_in_the_folder_of_step_raw_are_refused_before_they_are_removed(
    small: wmt14.Corpus, tmp_path: Path
) -> None:
    files, out = tmp_path / "files", tmp_path / "out"
    wmt14.collect(small, wmt14.locate(small, tmp_path), files)
    prepare(small, wmt14.Location("files", files), out)
    for name in small.archives:
        (tmp_path / "stand-in" / name).rename(out / "raw" / name)
    with pytest.raises(UserError, match="out/raw.*expected it elsewhere"):
        prepare(small, wmt14.Location("archives", out / "raw"), out)
    assert set(small.archives) <= set(contents(out / "raw"))
