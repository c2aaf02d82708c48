"""Refusal of text with unknown tokens by its likely cause, and pieces that fairseq adds itself."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import sentencepiece

from fairseq_autoassist.text.binarized import BinarizedSide
from preprocess import binarize, spm
from preprocess.text import UserError, held, read_lines
from preprocess.unknown import cause, look

LINES = ["a man and a dog", "two men on a road", "the dog runs", "a road in the sun"] * 9
RARE = ["a 犬 and a 猫", "犬", "the 道 in the sun"] * 3
LONG = ["a dog " + "zq" * 2600]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def encoded(folder: Path, lines: list[str], name: str = "valid", model: str = "spm") -> None:
    """Encode the same text as both sides."""
    text = write(folder / "text", lines)
    for lang in ("en", "de"):
        spm.encode(folder / f"{model}.model", text, folder / f"{name}.{lang}")


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Arguments of binarize; their folder holds a model and the split train."""
    spm.train([write(tmp_path / "text", LINES)], tmp_path / "spm", 22)
    encoded(tmp_path, LINES, "train")
    given = ["--source-lang", "en", "--target-lang", "de"]
    for name, file in (("source-model", "spm.model"), ("train", "train"), ("destination", "bin")):
        given += [f"--{name}", str(tmp_path / file)]
    return [*given, "--valid", str(tmp_path / "valid")]


def refused(words: list[str]) -> str:
    with pytest.raises(UserError) as error:
        binarize.main(words)
    assert "\n" not in str(error.value)
    assert not Path(words[words.index("--destination") + 1]).exists()
    return str(error.value)


def test_rare_characters_are_not_blamed_on_the_model(tmp_path: Path, words: list[str]) -> None:
    encoded(tmp_path, RARE)
    told = refused(words)
    assert "valid.en are unknown to its dictionary; expected at most 5%: " in told
    assert "spm.model is the one that it was encoded with, but has no piece for 犬 6, 猫 3" in told
    assert "--byte-fallback, or continue with --max-unknown " in told and "-model" not in told
    assert "--max-line-bytes" not in told
    go_on = told.split("or continue with ")[1].split()
    binarize.main([*words, *go_on])
    assert len(BinarizedSide(tmp_path / "bin" / "valid.en-de.de").sizes) == len(RARE)


def test_a_refusal_leaves_no_folder_that_was_made_for_it(tmp_path: Path, words: list[str]) -> None:
    encoded(tmp_path, RARE)
    (tmp_path / "mine").mkdir()
    words[words.index("--destination") + 1] = str(tmp_path / "mine" / "made" / "for it" / "bin")
    refused(words)
    assert list((tmp_path / "mine").iterdir()) == []


def test_its_folder_is_locked_until_the_data_bin_is_in_its_place(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a second call come at each step, which must not remove the folder."""
    encoded(tmp_path, LINES)
    refusals = []

    def second_call() -> None:
        with pytest.raises(UserError, match="another process still works in .*bin.binarize"):
            binarize.main(words)
        refusals.append(words)

    def preprocess(_: list[str], folder: Path) -> int:
        (folder / "data-bin").mkdir()
        return 0

    monkeypatch.setattr(binarize, "run_to_its_end", preprocess)
    steps = {
        "write_dictionary": binarize.write_dictionary,
        "refuse_unknown": lambda *_: None,
        "move_whole": binarize.move_whole,
    }
    for name, step in steps.items():
        monkeypatch.setattr(binarize, name, _after(second_call, step))
    binarize.main(words)
    assert len(refusals) == 3 and (tmp_path / "bin").is_dir()


def _after(first: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    def both(*given: Any) -> Any:
        first()
        return function(*given)

    return both


def test_a_data_bin_that_a_running_call_replaces_is_not_put_back(
    tmp_path: Path, words: list[str]
) -> None:
    encoded(tmp_path, LINES)
    aside = tmp_path / ".bin.binarize" / binarize.OLD
    aside.mkdir(parents=True)
    with held(aside.parent):
        assert "another process still works" in refused(words)
        assert aside.is_dir()


def likely(folder: Path) -> str:
    """Cause that a refusal of the folder's valid.en would name."""
    path, model = folder / "valid.en", folder / "spm.model"
    return cause(look(path, model), path, model, 10.5)


def test_lines_left_out_of_training_are_named(tmp_path: Path, words: list[str]) -> None:
    encoded(tmp_path, LONG)
    told = likely(tmp_path)
    assert "has no piece for z 2600, q 2600; most of them are in 1 lines of more than 4192" in told
    assert "--max-line-bytes 5206" in told and told.endswith("or continue with --max-unknown 11")


def test_text_of_another_model_is_recognised_by_encoding_it_again(
    tmp_path: Path, words: list[str]
) -> None:
    spm.train([tmp_path / "text"], tmp_path / "other", 32, kind="bpe")
    encoded(tmp_path, LINES, model="other")
    told = likely(tmp_path)
    assert "such lines otherwise: give the model that it was encoded with by --source-model" in told
    assert "most often ▁" in told and "--max-unknown" not in told


def test_text_that_is_not_encoded_is_recognised(tmp_path: Path, words: list[str]) -> None:
    write(tmp_path / "valid.en", LINES)
    told = likely(tmp_path)
    assert "it holds no ▁, so is not encoded: run `python -m preprocess.spm encode --mod" in told


@pytest.mark.parametrize("most", ["-1", "101", "nan"])
def test_a_limit_out_of_range_is_refused(tmp_path: Path, words: list[str], most: str) -> None:
    encoded(tmp_path, LINES)
    told = refused([*words, "--max-unknown", most])
    assert f"--max-unknown is {float(most)}; expected a percentage, 0 to 100" in told


def test_packed_text_and_carriage_returns_are_refused(tmp_path: Path, words: list[str]) -> None:
    encoded(tmp_path, LINES)
    whole = (tmp_path / "valid.de").read_bytes()
    (tmp_path / "valid.de").write_bytes(gzip.compress(whole))
    told = refused(words)
    assert (
        "valid.de is gzip, which fairseq-preprocess does not read" in told and "`gzip -dc" in told
    )
    (tmp_path / "valid.de").write_bytes(whole.replace(b"a", b"a\r", 1))
    assert "line 1 of " in refused(words) and "holds a carriage return" in refused(words)
    (tmp_path / "valid.de").write_bytes(whole.replace(b"a", b"\xe9", 1))
    assert "valid.de is not UTF-8" in refused(words)


def test_pieces_that_fairseq_adds_itself_are_not_added_again(
    tmp_path: Path, words: list[str]
) -> None:
    mine = ["<pad>", "<s>", "</s>", "<unk>", "<2de>"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_prefix=str(tmp_path / "spm"),
        vocab_size=28,
        user_defined_symbols=mine,
        unk_piece="[UNK]",
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
    )
    encoded(tmp_path, LINES, "train")
    encoded(tmp_path, ["<2de> a dog", "a <unk>"])
    binarize.main(words)
    pieces = [line.split(" ")[0] for line in read_lines(tmp_path / "bin" / "dict.en.txt")]
    assert len(pieces) == len(set(pieces)) == 28 - 5 and "<2de>" in pieces
    assert not {"<pad>", "<s>", "</s>", "<unk>", "[UNK]"} & set(pieces)
    rows = np.fromfile(tmp_path / "bin" / "train.en-de.en.bin", dtype=np.uint16)
    assert 4 <= rows[rows != 2].min()  # of fairseq's own pieces only the end of a sentence
    for piece in mine[:3]:
        encoded(tmp_path, ["a dog", f"a {piece} dog"])
        told = refused([*words[:-3], str(tmp_path / "other"), *words[-2:]])
        assert f"line 2 of {tmp_path}/valid.en holds the piece {piece}, which means" in told
