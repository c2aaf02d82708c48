"""Cleaning rules, counts of kept and dropped pairs, and outputs that are written whole."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, ContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess import lengths
from preprocess.clean import Limits, Report, clean_pairs, main, reason_to_drop
from preprocess.text import UserError, read_lines, staging, whole_file, whole_files
from recipes.common.data import ROOT
from tests.support.limits import largest_file


def write_inputs(folder: Path, source: str, target: str) -> list[str]:
    """Write both sides into files; returns the flags of a call on them."""
    paths = [folder / name for name in ("in.en", "in.de", "out.en", "out.de")]
    paths[0].write_bytes(source.encode())
    paths[1].write_bytes(target.encode())
    names = ("--source", "--target", "--out-source", "--out-target")
    return [word for pair in zip(names, map(str, paths)) for word in pair]


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("a man", "ein Mann", None),
        ("", "ein Mann", "empty"),
        ("a man", "", "empty"),
        ("a " * 176, "b " * 175, "too long"),
        ("a " * 175, "b " * 175, None),
        ("a " * 30, "b " * 10, None),
        ("a " * 31, "b " * 10, "length ratio"),
        ("b " * 10, "a " * 31, "length ratio"),
        ("a " * 8, "b b", "length ratio"),
        ("a " * 7, "b b", None),
        ("a", "b b b b b", None),  # the ratio of short sides is not checked
        ("he lived a hard life , i think .", "彼はつらい人生を送ったと思う。", None),
        ("彼はつらい人生を送ったと思う。", "彼 は つらい 人生 を 送っ た と 思う 。", None),
        ("he lived a hard life , i think .", "苦", "length ratio"),
        ("yes", "彼はつらい人生を送ったと思う。" * 2, "length ratio"),
        ("word " * 100, "彼はつらい人生を送ったと思う。" * 27, "too long"),
        ("x" * 6000, "y " * 170, "too long"),
        ("", "\u3000", "empty"),
    ],
)
def test_the_first_rule_that_applies_is_given(source: str, target: str, reason: str | None) -> None:
    assert reason_to_drop(source, target, Limits()) == reason


HARD_LIFE = {  # "he lived a hard life, I think", in scripts without spaces between words
    "Chinese": "我认为他过着艰苦的生活。",
    "Japanese": "彼はつらい人生を送ったと思う。",
    "Thai": "ผมคิดว่าเขามีชีวิตที่ยากลำบาก",
    "Lao": "ຂ້ອຍຄິດວ່າລາວມີຊີວິດທີ່ຫຍຸ້ງຍາກ",
    "Khmer": "ខ្ញុំគិតថាគាត់រស់នៅក្នុងជីវិតដ៏លំបាក",
    "Burmese": "သူဟာခက်ခဲတဲ့ဘဝကိုနေထိုင်ခဲ့တယ်လို့ကျွန်တော်ထင်ပါတယ်။",
    "Tibetan": "ཁོང་གི་མི་ཚེ་དཀའ་ངལ་ཆེན་པོ་ཞིག་རེད་བསམ་གི་འདུག",
}


@pytest.mark.parametrize("language", HARD_LIFE)
def test_letters_are_counted_in_scripts_without_spaces(language: str) -> None:
    english, other = "he lived a hard life , i think .", HARD_LIFE[language]
    assert 5 <= lengths.words(other) <= 12  # the English side has nine
    assert reason_to_drop(english, other, Limits(max_ratio=2)) is None
    assert reason_to_drop("he did", other * 2, Limits()) == "length ratio"
    assert reason_to_drop(other * 40, other * 40, Limits()) == "too long"
    together = f"{english} {other} 3.5"
    assert lengths.words(together) == lengths.words(english) + lengths.words(other) + 1
    assert lengths.words(" ".join(other)) == lengths.words(other)  # segmented by another tool
    assert Report(kept=1).warning is None


def test_segmented_text_is_counted_by_its_spaces() -> None:
    pieces = "▁ 彼 は つ ら い"
    assert reason_to_drop(pieces, "▁a", Limits(ratio_from=1, spaced=True)) == "length ratio"
    assert reason_to_drop(pieces, "▁a b", Limits(ratio_from=1, spaced=True)) is None
    assert reason_to_drop("x" * 6000, "y", Limits(spaced=True)) is None


def test_a_rule_that_drops_most_pairs_gives_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lopsided, good = ("a " * 40, "b"), ("a man", "ein Mann")
    for pairs, warned in (([lopsided, lopsided, good], True), ([lopsided, good], False)):
        sides = ["".join(f"{pair[side]}\n" for pair in pairs) for side in (0, 1)]
        main(write_inputs(tmp_path, *sides))
        output = capsys.readouterr()
        assert f"1 kept, dropped: length ratio {len(pairs) - 1}" in output.out
        line = "warning: 2 of 3 pairs were dropped as 'length ratio'; expected few: look whether"
        assert (line in output.err) is warned is ("warning" in output.err)


@pytest.mark.parametrize(
    "invisible",
    ["\u200b", "\ufeff", "\u00ad", "\u2060", "\u200e", "\u200f", "\u202a", "\u2066", "\u061c"]
    + [
        "\ufe0f",
        "\U000e0100",
        "\u180e",
        "\u034f",
        "\u3164",
        "\u2800",
        "\x7f",
        "\u200b \u3000\u2060",
    ],
)
def test_a_side_of_invisible_characters_is_empty(tmp_path: Path, invisible: str) -> None:
    seen = ["a\u200bb", "☺\ufe0f", ".", "\u0600", "¿"]  # between letters they stay
    sides = ["".join(f"{line}\n" for line in lines) for lines in ([*seen, invisible], ["x"] * 6)]
    for spaced in ([], ["--spaced"]):
        for source, target in (sides, sides[::-1]):
            main([*write_inputs(tmp_path, source, target), *spaced])
            kept = (tmp_path / ("out.en" if source == sides[0] else "out.de")).read_text()
            assert kept.splitlines() == seen


@given(st.lists(st.tuples(st.text(), st.text())))
def test_every_pair_is_kept_or_counted(pairs: list[tuple[str, str]]) -> None:
    report = Report()
    kept = list(clean_pairs(pairs, Limits(max_words=3), report))
    assert report.kept == len(kept)
    assert report.seen == len(pairs)
    assert all(side == " ".join(side.split()) != "" for pair in kept for side in pair)


def test_the_counts_are_printed_and_the_clean_sides_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = write_inputs(tmp_path, " A  man.\n\nx\n", "Ein Mann. \nleer\ny\n")
    main(arguments)
    assert "3 pairs read, 2 kept, dropped: empty 1" in capsys.readouterr().out
    assert (tmp_path / "out.en").read_text() == "A man.\nx\n"
    assert (tmp_path / "out.de").read_text() == "Ein Mann.\ny\n"


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    main(write_inputs(tmp_path, "a\u2028b\rc\nd\n", "1\n2\n"))
    assert (tmp_path / "out.en").read_text() == "a b c\nd\n"


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a\nb\n", "a\n", "in.de ends after 1 lines but .*in.en goes on"),
        ("\n", "a\n", "nothing left .* dropped: empty 1"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, source: str, target: str, message: str
) -> None:
    with pytest.raises(SystemExit, match=message) as error:
        main(write_inputs(tmp_path, source, target))
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.de", "in.en"]


def test_not_utf8_and_not_gzip_are_refused(tmp_path: Path) -> None:
    latin, cut = tmp_path / "b", tmp_path / "c.gz"
    latin.write_bytes(b"\xe4\n")
    cut.write_bytes(gzip.compress(b"a man\n" * 100)[:-9])
    broken = tmp_path / "d.gz"
    whole = gzip.compress(b"".join(b"%d men\n" % number for number in range(99)))
    broken.write_bytes(whole[:40] + b"\xff" * 9 + whole[49:])
    cases = [(latin, "not UTF-8"), (cut, "damaged"), (broken, "damaged")]
    for path, words in [*cases, (tmp_path / "no", "found no file")]:
        with pytest.raises(SystemExit, match=words):
            list(read_lines(path))


def test_other_encodings_are_named_and_a_bom_is_skipped(tmp_path: Path) -> None:
    for content, advice in (
        ("two words".encode("utf-16"), "iconv -f utf-16"),
        ("schön".encode("latin1"), "iconv -f latin1"),
    ):
        (tmp_path / "text").write_bytes(content)
        with pytest.raises(SystemExit, match=f"text is not UTF-8 .*{advice}"):
            list(read_lines(tmp_path / "text"))
    (tmp_path / "text").write_text("one\ntwo\n", encoding="utf-8-sig")  # starts with a BOM
    (tmp_path / "text.gz").write_bytes(gzip.compress((tmp_path / "text").read_bytes()))
    for name in ("text", "text.gz"):
        assert list(read_lines(tmp_path / name)) == ["one", "two"]


def test_a_full_disk_gives_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    names = [tmp_path / "one", tmp_path / "two"]
    with pytest.raises(SystemExit, match="has no room .*expected some for one and two"):
        with largest_file(1 << 20), whole_files(*names) as streams:
            streams[0].write("x" * (3 << 20))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("manager", [whole_files, whole_file])
def test_folders_made_for_an_unfinished_file_are_removed(tmp_path, manager):
    with pytest.raises(KeyError), manager(tmp_path / "a" / "b" / "file"):
        raise KeyError
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").mkdir()
    with pytest.raises(KeyError), manager(tmp_path / "a" / "b" / "file"):
        raise KeyError
    assert list((tmp_path / "a").iterdir()) == []


@pytest.mark.parametrize("manager", [whole_files, whole_file, staging])
@pytest.mark.parametrize("inside", ["out", "folder/out"])
def test_an_output_below_a_file_is_refused_in_one_line(
    tmp_path: Path, manager: Callable[..., ContextManager], inside: str
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot write out in .*file.* at .*; expected a folder in"):
        with manager(tmp_path / "file" / inside):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("manager", [whole_files, staging])
def test_an_error_of_the_block_is_not_reported_as_one_of_the_output(
    tmp_path: Path, manager: Callable[..., ContextManager]
) -> None:
    with pytest.raises(FileNotFoundError), manager(tmp_path / "out"):
        open(tmp_path / "absent")
    assert not list(tmp_path.iterdir())


def test_files_of_a_killed_call_are_removed_by_the_next(tmp_path: Path) -> None:
    path, others = tmp_path / "out.en", [".out.en.elsewhere-1.tmp", "out.de"]
    script = "import sys, time; from pathlib import Path; from preprocess.text import whole_files\n"
    script += "with whole_files(Path(sys.argv[1])): print(1, flush=True); time.sleep(60)"
    command = [sys.executable, "-c", script, str(path)]
    for name in others:
        (tmp_path / name).write_text("not ours")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout and writer.stdout.readline()
            (part,) = tmp_path.glob(f".out.en.*-{writer.pid}.tmp")
            with whole_files(path):
                assert part.exists(), "the file of a living process was removed"
        finally:
            writer.kill()
    assert part.exists()
    with whole_files(path):
        assert not part.exists()
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "out.en"])


def test_a_folder_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "device")
    (tmp_path / "folder").mkdir()
    for name in ("device", "folder"):
        with pytest.raises(SystemExit, match=f"{name} is a folder or a device"):
            with whole_files(tmp_path / "first", tmp_path / name):
                pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "folder"]


def test_compressed_or_equal_outputs_are_refused(tmp_path: Path) -> None:
    words = write_inputs(tmp_path, "a\n", "b\n")
    for name, message in (("out.de.gz", "without .gz"), ("out.en", "two names for two outputs")):
        with pytest.raises(SystemExit, match=message):
            main([*words, "--out-target", str(tmp_path / name)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.de", "in.en"]


@pytest.mark.parametrize(("flag", "value"), [("--max-words", "0"), ("--max-ratio", "nan")])
def test_limits_out_of_range_are_refused(tmp_path: Path, flag: str, value: str) -> None:
    with pytest.raises(SystemExit, match=f"{flag} is {value}; expected"):
        main([*write_inputs(tmp_path, "a\n", "b\n"), flag, value])
