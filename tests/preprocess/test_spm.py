"""SentencePiece on text of any script: no text is lost, and skipped lines are counted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from preprocess import spm
from preprocess.text import UserError, read_lines

PERSIAN = "می\u200cخواهم کتاب‌ها را"  # with zero-width non-joiners
LINES = [
    PERSIAN,
    "，。！ＡＢＣ",
    "½ ² ﬁ ①",
    "cafe\u0301 \u00ad\u2060",
    "क्‍ष 👩\u200d👩\u200d👧 ☺\ufe0f",
    "Ǆ İ ß",
]


def write(path: Path, lines: list[str]) -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def back_and_forth(folder: Path, model: Path, lines: list[str]) -> list[str]:
    spm.encode(model, write(folder / "in", lines), folder / "pieces")
    return spm.decode(model, list(read_lines(folder / "pieces")))


def test_what_is_encoded_comes_back_in_any_script(tmp_path: Path) -> None:
    text = write(tmp_path / "text", LINES * 9)
    model = spm.train([text], tmp_path / "spm", 42)
    assert back_and_forth(tmp_path, model, LINES) == LINES
    published = spm.train([text], tmp_path / "nmt", 40, normalization="nmt_nfkc")
    assert back_and_forth(tmp_path, published, LINES[:3]) == [
        PERSIAN.replace("\u200c", " "),
        ",。!ABC",
        "1⁄2 2 fi 1",
    ]


@pytest.mark.parametrize("normalization", spm.NORMALIZATIONS)
def test_no_white_space_is_in_a_piece(tmp_path: Path, normalization: str) -> None:
    """Keep white space out: fairseq splits pieces there, and ends a line at a carriage return."""
    signs = [sign for sign in map(chr, range(0x3001)) if sign.isspace() and sign != "\n"]
    lines = [f"one{sign}two{sign}" for sign in signs]
    text = write(tmp_path / "text", lines * 3)
    model = spm.train([text], tmp_path / "spm", 8, normalization=normalization)
    spm.encode(model, text, tmp_path / "pieces")
    encoded = (tmp_path / "pieces").read_bytes().decode().split("\n")[:-1]
    assert len(encoded) == 3 * len(lines)
    assert all(line.split() == line.split(" ") for line in encoded)
    alone = f"identity of \u3000{normalization}"  # the model never saw this text
    assert back_and_forth(tmp_path, model, [alone])[0].split() == alone.split()


def test_lines_too_long_for_training_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = write(tmp_path / "text", ["a man and a dog", "zq" * 2600] * 9)
    told = "left out 1 of 1 lines, longer than 4192 bytes; .* --max-line-bytes 5200"
    spm.train([text], tmp_path / "spm", 10)
    assert "warning: SentencePiece left out 9 of 18 lines" in capsys.readouterr().err
    assert "q" not in "".join(spm.load(tmp_path / "spm.model").id_to_piece(list(range(10))))
    with pytest.raises(UserError, match=told):
        spm.train([write(tmp_path / "long", ["zq" * 2600])], tmp_path / "long", 4)
    words = ["train", "--input", str(text), "--vocab", "11", "--model", str(tmp_path / "all")]
    spm.main([*words, "--max-line-bytes", "5200"])
    assert "left out" not in capsys.readouterr().err
    assert "q" in "".join(spm.load(tmp_path / "all.model").id_to_piece(list(range(11))))


def test_invisible_lines_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = write(tmp_path / "text", ["a man and a dog"] * 9)
    model = spm.train([text], tmp_path / "spm", 10)
    spm.encode(model, text, tmp_path / "pieces")
    assert "warning" not in capsys.readouterr().err
    blank = write(tmp_path / "blank", ["a man", "\u200b", "a dog", "\ufeff", ""])
    spm.encode(model, blank, tmp_path / "pieces")
    assert "3 of 5 lines of" in (told := capsys.readouterr().err) and "first is line 2;" in told
    assert len((tmp_path / "pieces").read_text().split("\n")) == 5 + 1


def test_byte_fallback_knows_every_character(tmp_path: Path) -> None:
    text = write(tmp_path / "text", ["a man and a dog"] * 9)
    words = ["train", "--input", str(text), "--model", str(tmp_path / "spm")]
    with pytest.raises(UserError, match="refused a vocabulary of 30 pieces .*--vocab, or more"):
        spm.main([*words, "--byte-fallback", "--vocab", "30"])
    spm.main([*words, "--byte-fallback", "--vocab", "266"])
    rare = ["a 犬", "½ man"]
    assert back_and_forth(tmp_path, tmp_path / "spm.model", rare) == rare
    model = spm.load(tmp_path / "spm.model")
    assert all(model.piece_to_id(piece) for piece in model.encode(rare[0], out_type=str))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--coverage", "0.5"], "--coverage is 0.5; expected 0.98 to 1: give 0.9995"),
        (["--coverage", "nan"], "--coverage is nan; expected 0.98 to 1"),
        (["--max-line-bytes", "0"], "--max-line-bytes is 0; expected 1 or more"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path: Path, words: list[str], message: str) -> None:
    text = write(tmp_path / "text", ["a man"])
    given = ["train", "--input", str(text), "--vocab", "12", "--model", str(tmp_path / "spm")]
    with pytest.raises(UserError, match=message):
        spm.main([*given, *words])
    with pytest.raises(UserError, match="--normalization is nfd; expected one of identity, nfkc"):
        spm.train([text], tmp_path / "spm", 12, normalization="nfd")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_the_normalization_of_the_published_results_has_not_changed(tmp_path: Path) -> None:
    text = write(
        tmp_path / "text", [f"Der {n}. Mann\u200b … “quoted” – ½\u00adPreis" for n in range(99)]
    )
    spm.train([text], tmp_path / "spm", 40, normalization="nmt_nfkc")
    vocabulary = (tmp_path / "spm.vocab").read_bytes()
    assert (
        hashlib.sha256(vocabulary).hexdigest()
        == "c05c9773b5864599ab0ec3511555c10fd39e0f2e8fcb1204d47f98e30847be8b"
    )
