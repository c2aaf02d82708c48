"""WMT14's preparation: refusals before any file is removed, and disk checks of a dry run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from preprocess.text import UserError
from recipes.common import plan
from recipes.common.plan import Cost, DryRun
from recipes.common.steps import Steps
from recipes.multi30k import prepare as multi30k
from recipes.wmt14_en_de import corpus as wmt14
from recipes.wmt14_en_de import prepare as script
from recipes.wmt14_en_de.settings import SCALES, Scale
from recipes.wmt14_en_de.standin import pack

PAIR = [("A dog .", "Ein Hund .")]


@pytest.fixture
def small(tmp_path: Path) -> wmt14.Corpus:
    pack(dict.fromkeys(wmt14.PARTS, PAIR), tmp_path / "stand-in")
    return wmt14.stand_in(tmp_path / "stand-in")


class First(Steps):
    """Steps of which only the first, `raw`, runs."""

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
    """`named` is that folder, one in it, a link to it, or a folder of links into it."""
    archives = wmt14.locate(small, tmp_path)
    prepare(small, archives, tmp_path / "out")  # now the step may remove raw
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


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int]]:
    """Folders and bytes of the disk checks, all of which pass."""
    found: list[tuple[Path, int]] = []
    monkeypatch.setattr(
        script, "check_disk", lambda folder, needed, *_: found.append((folder, round(needed)))
    )
    return found


@pytest.mark.parametrize("same", [True, False])
def test_downloads_count_on_the_disk_they_go_to(
    small: wmt14.Corpus,
    tmp_path: Path,
    asked: list[tuple[Path, int]],
    monkeypatch: pytest.MonkeyPatch,
    same: bool,
) -> None:
    monkeypatch.setattr(script, "same_disk", lambda *_: same)
    location, out = wmt14.Location("download", tmp_path / "downloads"), tmp_path / "out"
    whole = sum(archive.size for archive in small.archives.values())
    location.folder.mkdir()
    (location.folder / "dev.tgz.part").write_bytes(b"x" * 100)
    (tmp_path / "stand-in" / "test-full.tgz").rename(location.folder / "test-full.tgz")
    missing = whole - 100 - small.archives["test-full.tgz"].size
    todo = round(small.pairs * sum(size for size, _ in script.COSTS.values()))
    script.plan(small, location, out, "paper", SCALES["tiny"])
    both = [(out, todo + missing)] if same else [(out, todo), (location.folder, missing)]
    assert asked == both


def test_a_finished_step_raw_needs_no_room_for_downloads(
    small: wmt14.Corpus, tmp_path: Path, asked: list[tuple[Path, int]]
) -> None:
    out = tmp_path / "out"
    prepare(small, wmt14.locate(small, tmp_path), out)
    location = wmt14.Location("download", tmp_path / "removed")
    script.plan(small, location, out, "paper", SCALES["tiny"])
    rest = sum(size for name, (size, _) in script.COSTS.items() if name != "raw")
    assert asked == [(out, round(small.pairs * rest))]


def test_folders_of_one_disk_and_of_two_are_distinguished(tmp_path: Path) -> None:
    assert plan.same_disk(tmp_path / "one" / "two", tmp_path)
    other = Path("/proc")  # never on the disk of the tests
    assert not plan.same_disk(tmp_path / "one", other)


def last_key(corpus: wmt14.Corpus, folder: Path, scale: Scale) -> str:
    """Key of the last step, features."""
    costs = {name: Cost(0, 0) for name in ("raw", "text")}
    costs.update((f"{name}-paper", Cost(0, 0)) for name in script.COSTS)
    steps = DryRun(folder / "steps", script.STEPS, costs)
    location = wmt14.locate(corpus, folder)
    script.prepare(corpus, location, folder, "paper", scale, 1, steps)
    return steps.key


def test_features_are_made_anew_for_another_format(
    small: wmt14.Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = []
    for version in (1, 2, 2):
        monkeypatch.setattr(script, "FORMAT_VERSION", version)
        keys.append(last_key(small, tmp_path, SCALES["tiny"]))
    assert keys[0] != keys[1] == keys[2]


def test_pieces_are_made_anew_for_another_normalization(
    small: wmt14.Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of the earlier normalization would be reused, and its BLEU reported."""
    tiny = SCALES["tiny"]
    other = replace(tiny.vocabularies["paper"], normalization="identity")
    changed = replace(tiny, vocabularies={"paper": other})
    assert last_key(small, tmp_path, tiny) != last_key(small, tmp_path, changed)
    keys = []
    for normalization in ("nmt_nfkc", "identity"):
        monkeypatch.setattr(multi30k, "NORMALIZATION", normalization)
        costs = dict.fromkeys(("text", "sentencepiece", "pieces", "data-bin"), Cost(0, 0))
        steps = DryRun(tmp_path, multi30k.STEPS, costs)
        multi30k.prepare(tmp_path, steps)
        keys.append(steps.key)
    assert keys[0] != keys[1]
