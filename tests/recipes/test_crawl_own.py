"""Corpus of `recipes.crawl` from a user's own two files."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from preprocess.text import UserError
from recipes.compare.languages import coverage_of, languages_of, tokenizer_of
from recipes.crawl import own as module
from recipes.crawl.own import own_of
from tests.support.corpus import multi30k_pairs

NONE = dict.fromkeys(
    ["source", "target", "valid_source", "valid_target", "test_source", "test_target"]
)


def options(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**{**NONE, "source_lang": None, "target_lang": None, **given})


def write(folder: Path, name: str, count: int, start: int = 0) -> dict[str, Path]:
    """Write real pairs into one file for each side."""
    pairs = multi30k_pairs("train", count, start)
    paths = {side: folder / f"{name}{side}" for side in ("source", "target")}
    for number, path in enumerate(paths.values()):
        path.write_text("".join(pair[number] + "\n" for pair in pairs), encoding="utf-8")
    return {f"{name}{side}": path for side, path in paths.items()}


def test_held_out_pairs_are_drawn_and_reported_as_noisy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(module, "VALID", 20)
    monkeypatch.setattr(module, "TEST", 30)
    files = write(tmp_path, "", 1200)
    own = own_of(options(**files, source_lang="en", target_lang="de"))
    assert own is not None
    splits = own.split()
    assert (len(splits.valid), len(splits.test)) == (20, 30)
    assert "20 for valid and 30 for test; they are as noisy as the rest" in capsys.readouterr().out
    assert splits.read == 1200


def test_pairs_that_cannot_be_trained_on_are_not_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VALID", 100)
    monkeypatch.setattr(module, "TEST", 200)
    files = write(tmp_path, "", 3000)
    lines = files["target"].read_text("utf-8").splitlines()
    lines[::4], lines[1::4] = [""] * 750, ["wort " * 400] * 750
    files["target"].write_text("\n".join(lines) + "\n", "utf-8")
    own = own_of(options(**files, source_lang="en", target_lang="de"))
    assert own is not None
    splits = own.split()
    longest = max(len(pair.target.split()) for pair in (*splits.valid, *splits.test))
    assert longest <= 175 and all(pair.target for pair in (*splits.valid, *splits.test))
    assert (splits.dropped["empty"], splits.dropped["too long"]) == (750, 750)
    assert splits.read == 3000


def test_given_valid_and_test_files_are_used_and_kept_out_of_training(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    files = write(tmp_path, "", 1200)
    files |= write(tmp_path, "valid_", 20, 1190) | write(tmp_path, "test_", 30, 2000)
    own = own_of(options(**files, source_lang="en", target_lang="de"))
    assert own is not None
    splits = own.split()
    assert splits.test == [p[:2] + ("",) for p in multi30k_pairs("train", 30, 2000)]
    assert splits.dropped["source stands in valid or test"] >= 10
    assert not capsys.readouterr().out
    before = own.settings()
    assert own.settings() == before
    write(tmp_path, "test_", 31, 2000)
    assert own.settings() != before


def test_without_files_there_is_no_own_corpus() -> None:
    assert own_of(options()) is None


@pytest.mark.parametrize(
    "change, message",
    [
        ({"target": None}, "found one side alone; .*--target too"),
        ({"valid_source": Path("x")}, "found one side alone; .*--valid-target too"),
        ({"source": None, "target": None}, "found no --source and --target"),
        ({"target_lang": None}, "found the languages en and None"),
        ({"target_lang": "en"}, "found the languages en and en"),
        ({"target_lang": "de.x"}, "found the language 'de.x'"),
        ({"source": Path("nowhere")}, "found no file nowhere"),
    ],
)
def test_bad_flags_are_refused_in_one_line(tmp_path: Path, change: dict, message: str) -> None:
    given = {**write(tmp_path, "", 3), "source_lang": "en", "target_lang": "de", **change}
    with pytest.raises(UserError, match=message) as found:
        own_of(options(**given))
    assert "\n" not in str(found.value)


def test_languages_come_from_the_names_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "train.en-ja.ja.idx").touch()
    (tmp_path / "train.en-ja.en.idx").touch()
    assert languages_of(tmp_path) == ("en", "ja")
    with pytest.raises(UserError, match="found no train.SOURCE-TARGET.SOURCE.idx"):
        languages_of(tmp_path / "nothing")
    assert [tokenizer_of(lang) for lang in ("de", "ja", "zh")] == ["13a", "char", "zh"]
    assert coverage_of("ja") < coverage_of("de") == 1.0
