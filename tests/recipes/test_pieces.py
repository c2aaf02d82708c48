"""SentencePiece and fairseq-preprocess, for real, on a slice of Multi30k."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from preprocess import binarize, spm
from preprocess.text import read_lines
from recipes.common.data import MULTI30K, local_folder

PAIRS = 400
LANGS = ("en", "de")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a slice of text, a joint model and the encoded text."""
    source = local_folder(MULTI30K)
    if source is None:
        pytest.skip("needs Multi30k: set AUTOASSIST_DATA")
    folder = tmp_path_factory.mktemp("corpus")
    for lang in LANGS:
        lines = islice(read_lines(source / f"val.{lang}.gz"), PAIRS)
        (folder / f"text.{lang}").write_text("".join(f"{line}\n" for line in lines))
    texts = [folder / f"text.{lang}" for lang in LANGS]
    spm.train(texts, folder / "spm", vocab=700)
    for lang in LANGS:
        spm.encode(folder / "spm.model", folder / f"text.{lang}", folder / f"enc.{lang}")
    return folder


def arguments(corpus: Path, destination: Path) -> list[str]:
    model = str(corpus / "spm.model")
    words = ["--source-lang", "en", "--target-lang", "de", "--source-model", model]
    return [*words, "--train", str(corpus / "enc"), "--destination", str(destination)]


def test_training_is_deterministic(corpus: Path) -> None:
    spm.main(
        ["train", "--vocab", "700", "--model", str(corpus / "again"), "--input"]
        + [str(corpus / f"text.{lang}") for lang in LANGS]
    )
    assert (corpus / "again.vocab").read_bytes() == (corpus / "spm.vocab").read_bytes()
    lines = list(read_lines(corpus / "enc.de"))
    spm.encode(corpus / "again.model", corpus / "text.de", corpus / "again.de")
    assert list(read_lines(corpus / "again.de")) == lines


def test_decoding_gives_the_text_back(corpus: Path) -> None:
    text = [" ".join(line.split()) for line in read_lines(corpus / "text.de")]
    assert spm.decode(corpus / "spm.model", list(read_lines(corpus / "enc.de"))) == text


def test_data_bin_is_the_encoded_text_row_by_row(corpus: Path) -> None:
    from fairseq.data import Dictionary, data_utils

    destination = corpus / "data-bin"
    binarize.main(arguments(corpus, destination))
    for lang in LANGS:
        dictionary = Dictionary.load(str(destination / f"dict.{lang}.txt"))
        rows = data_utils.load_indexed_dataset(
            str(destination / f"train.en-de.{lang}"), dictionary, "mmap"
        )
        lines = list(read_lines(corpus / f"enc.{lang}"))
        assert [dictionary.string(row) for row in rows] == lines
        # joint, and every piece but <unk> of the model beside fairseq's four specials
        assert len(dictionary) == 700 - 1 + 4
    with pytest.raises(SystemExit, match="data-bin exists.*--overwrite"):
        binarize.main(arguments(corpus, destination))
    assert not list(corpus.glob(".binarize*"))


def test_separate_dictionaries(corpus: Path) -> None:
    spm.train([corpus / "text.de"], corpus / "german", vocab=500)
    spm.encode(corpus / "german.model", corpus / "text.de", corpus / "separate.de")
    spm.encode(corpus / "spm.model", corpus / "text.en", corpus / "separate.en")
    words = arguments(corpus, corpus / "separate-bin")
    words[words.index(str(corpus / "enc"))] = str(corpus / "separate")
    binarize.main([*words, "--target-model", str(corpus / "german.model"), "--workers", "2"])
    sizes = [len(list(read_lines(corpus / "separate-bin" / f"dict.{lang}.txt"))) for lang in LANGS]
    assert sizes == [699, 499]


def test_a_failed_fairseq_preprocess_leaves_nothing(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binarize.sys, "executable", "/bin/false")
    with pytest.raises(SystemExit, match="fairseq-preprocess failed with status 1"):
        binarize.main(arguments(corpus, corpus / "failed"))
    assert not (corpus / "failed").exists()
    assert not list(corpus.glob(".binarize*"))


def test_bad_input_is_one_line(corpus: Path, tmp_path: Path) -> None:
    text = corpus / "text.en"
    with pytest.raises(SystemExit, match="refused a vocabulary of 90000 pieces") as error:
        spm.train([text], tmp_path / "spm", vocab=90000)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SystemExit, match="found no SentencePiece model"):
        spm.encode(tmp_path / "no.model", text, tmp_path / "out")
    with pytest.raises(SystemExit, match="is not a SentencePiece model"):
        spm.encode(text, text, tmp_path / "out")
    words = arguments(corpus, tmp_path / "bin")
    words[words.index(str(corpus / "enc"))] = str(corpus / "absent")
    with pytest.raises(SystemExit, match=r"found no .*absent\.en"):
        binarize.main(words)
    assert list(tmp_path.iterdir()) == []
