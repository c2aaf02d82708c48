"""Real SentencePiece and fairseq-preprocess on a slice of Multi30k."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from preprocess import binarize, spm
from preprocess.text import UserError, held, read_lines, staging
from recipes.common.data import MULTI30K, ROOT, local_folder
from tests.support.processes import alive, children, wait_for

PAIRS = 400
LANGS = ("en", "de")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a slice of text, a joint model and the encoded text."""
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


def test_training_and_encoding_in_chunks_are_deterministic(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spm.main(
        ["train", "--vocab", "700", "--model", str(corpus / "again"), "--input"]
        + [str(corpus / f"text.{lang}") for lang in LANGS]
    )
    assert (corpus / "again.vocab").read_bytes() == (corpus / "spm.vocab").read_bytes()
    lines = list(read_lines(corpus / "enc.de"))
    monkeypatch.setattr(spm, "ENCODE_CHUNK", 133)  # several chunks, the last one short
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
        # A joint dictionary: every piece of the model but <unk>, and fairseq's four symbols.
        assert len(dictionary) == 700 - 1 + 4
    with pytest.raises(SystemExit, match="data-bin exists.*--overwrite"):
        binarize.main(arguments(corpus, destination))
    assert not list(corpus.glob(".*binarize*"))


def test_two_models_make_two_dictionaries(corpus: Path) -> None:
    spm.train([corpus / "text.de"], corpus / "german", vocab=500)
    folder = corpus / "of two models"
    folder.mkdir()
    spm.encode(corpus / "german.model", corpus / "text.de", folder / "separate.de")
    spm.encode(corpus / "spm.model", corpus / "text.en", folder / "separate.en")
    words = arguments(corpus, corpus / "separate-bin")
    words[words.index(str(corpus / "enc"))] = str(folder / "separate")
    forgotten = r"% of the de tokens of .*/of two models/separate.de are unknown .* --target-model"
    with pytest.raises(SystemExit, match=forgotten):
        binarize.main(words)
    assert not (corpus / "separate-bin").exists()
    binarize.main([*words, "--target-model", str(corpus / "german.model"), "--workers", "2"])
    sizes = [len(list(read_lines(corpus / "separate-bin" / f"dict.{lang}.txt"))) for lang in LANGS]
    assert sizes == [699, 499]


def test_only_a_data_bin_is_replaced_and_only_by_a_whole_one(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*arguments(corpus, tmp_path / "bin"), "--overwrite"]
    other, file = tmp_path / "runs", tmp_path / "file"
    other.mkdir()
    for path in (other / "model", file):
        path.write_text("mine")
        with pytest.raises(SystemExit, match="is no data-bin .*another --destination"):
            binarize.main([*words, "--destination", str(other if path != file else file)])
        assert path.read_text() == "mine"
    (tmp_path / "bin").mkdir()
    for name in ("old.idx", "dict.en.txt", "notes.txt"):
        (tmp_path / "bin" / name).write_text("")
    with pytest.raises(SystemExit, match="holds notes.txt too, .* would be lost"):
        binarize.main(words)
    (tmp_path / "bin" / "notes.txt").unlink()
    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="failed with status 1"):
        patch.setattr(binarize.sys, "executable", "/bin/false")
        binarize.main(words)
    assert (tmp_path / "bin" / "old.idx").exists()
    (tmp_path / "link").symlink_to("bin")  # the target of a link is replaced
    binarize.main([*words, "--destination", str(tmp_path / "link")])
    (tmp_path / "link").unlink()
    names = {path.name for path in (tmp_path / "bin").iterdir()}
    assert "old.idx" not in names and "dict.de.txt" in names
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "file", "runs"]


def test_a_data_bin_that_a_killed_call_set_aside_is_put_back(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = tmp_path / ".bin.binarize" / binarize.OLD
    aside.mkdir(parents=True)
    (aside / "dict.en.txt").write_text("")
    monkeypatch.setattr(binarize.sys, "executable", "/bin/false")
    with pytest.raises(SystemExit, match="failed with status 1"):
        binarize.main([*arguments(corpus, tmp_path / "bin"), "--overwrite"])
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == [
        "bin",
        "bin/dict.en.txt",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train"], "found no text to binarise; expected some: give --train"),
        (["--target-lang", "en"], "--source-lang and --target-lang are both en; expected two"),
        (["--valid", "empty"], "empty.en and empty.de hold no line; .* or leave --valid out"),
        (["--destination", "empty.en/bin"], "cannot write bin in .*empty.en .*; expected a folder"),
    ],
)
def test_arguments_that_make_no_data_bin_are_refused(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for lang in LANGS:
        Path(f"empty.{lang}").touch()
    given = arguments(corpus, tmp_path / "bin")
    if words == ["--train"]:  # without this flag
        given, words = [*given[: given.index("--train")], *given[-2:]], []
    with pytest.raises(UserError, match=message):
        binarize.main([*given, *words])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.de", "empty.en"]


def test_sides_of_different_length_are_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "enc.en").write_text("a\nb\n")
    (tmp_path / "enc.de").write_text("a")
    words = [*arguments(corpus, tmp_path / "bin"), "--valid", str(tmp_path / "enc")]
    with pytest.raises(SystemExit, match=r"enc\.en has 2 lines but .*enc\.de 1; expected"):
        binarize.main(words)


def test_sigterm_ends_fairseq_preprocess_too(corpus: Path, tmp_path: Path) -> None:
    # fairseq-preprocess is still busy with so many lines when the signal comes.
    for lang in LANGS:
        with open(tmp_path / f"enc.{lang}", "w") as stream:
            stream.write("a b c\n" * 1_000_000)
    words = [*arguments(corpus, tmp_path / "bin"), "--train", str(tmp_path / "enc")]
    command = [sys.executable, "-m", "preprocess.binarize", *words, "--workers", "2"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            wait_for(lambda: len(children(process.pid)) >= 2, 60, "workers to start")
            mine = children(process.pid)
            process.terminate()
            assert process.wait(20) == 128 + signal.SIGTERM
        finally:
            process.kill()
    wait_for(lambda: not any(alive(pid) for pid in mine), 10, "workers to end")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["enc.de", "enc.en"]


def test_a_folder_in_which_another_process_works_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ".bin.binarize"
    folder.mkdir()
    (folder / "half").write_text("")
    with held(folder) as lock:
        command = [sys.executable, "-c", "input()"]
        orphan = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[lock])
    try:
        with pytest.raises(SystemExit, match="another process still works in .*bin.binarize"):
            with staging(folder):
                pass
        assert (folder / "half").exists()
    finally:
        orphan.kill()
        orphan.wait(10)
    with staging(folder) as made:
        assert list(made.iterdir()) == []
    assert not folder.exists()


def test_a_failed_fairseq_preprocess_leaves_nothing(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binarize.sys, "executable", "/bin/false")
    with pytest.raises(SystemExit, match="fairseq-preprocess failed with status 1"):
        binarize.main(arguments(corpus, corpus / "failed"))
    assert not (corpus / "failed").exists()
    assert not list(corpus.glob(".*binarize*"))


@pytest.mark.parametrize(
    ("model", "vocab", "message"),
    [
        ("spm.model", 700, r"--model is .*spm.model; expected a prefix, .* give --model .*/spm$"),
        ("spm", 0, "--vocab is 0; expected 1 or more"),
        ("spm", -5, "--vocab is -5; expected 1 or more"),
        ("file/spm", 700, "cannot write spm.model in .*file .*; expected a folder"),
    ],
)
def test_a_model_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, model: str, vocab: int, message: str
) -> None:
    (tmp_path / "file").write_text("a man\n")
    with pytest.raises(UserError, match=message):
        spm.train([tmp_path / "file"], tmp_path / model, vocab)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_bad_input_is_refused_and_leaves_nothing(corpus: Path, tmp_path: Path) -> None:
    text = corpus / "text.en"
    with pytest.raises(SystemExit, match="refused a vocabulary of 90000 pieces") as error:
        spm.train([text], tmp_path / "spm", vocab=90000)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").touch()
    with pytest.raises(SystemExit, match="found no text in .*empty"):
        spm.train([tmp_path / "empty"], tmp_path / "spm", vocab=90)
    (tmp_path / "empty").unlink()
    with pytest.raises(SystemExit, match="found no file .*absent"):  # --vocab is not blamed
        spm.train([text, tmp_path / "absent"], tmp_path / "spm", vocab=90)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SystemExit, match=rf"spm train --input .* --model {tmp_path}/no`"):
        spm.encode(tmp_path / "no.model", text, tmp_path / "out")
    with pytest.raises(SystemExit, match=rf"--model {tmp_path}/no`, then give .*/no.model$"):
        spm.encode(tmp_path / "no", text, tmp_path / "out")
    with pytest.raises(
        SystemExit, match=rf"model {corpus}/spm; expected a file: give .*/spm.model$"
    ):
        spm.encode(corpus / "spm", text, tmp_path / "out")
    with pytest.raises(SystemExit, match="is not a SentencePiece model"):
        spm.encode(text, text, tmp_path / "out")
    words = arguments(corpus, tmp_path / "bin")
    words[words.index(str(corpus / "enc"))] = str(corpus / "absent")
    with pytest.raises(SystemExit, match=r"found no .*absent\.en"):
        binarize.main(words)
    assert list(tmp_path.iterdir()) == []
