"""Command autoassist-agreement: its output, its export, and equal bits for any workers."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairseq_autoassist.cli.agreement import main
from fairseq_autoassist.cli.tfidf import main as tfidf
from fairseq_autoassist.features.agreement import build, learning
from fairseq_autoassist.features.agreement.build import build_agreement
from fairseq_autoassist.features.agreement.files import NAMES, Agreement
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.scores import read_scores
from fairseq_autoassist.features.tfidf.build import build_features
from tests.support.agreement import COUNT, write_words
from tests.support.corpus import multi30k_pairs


def written(data_bin: Path) -> dict[str, bytes]:
    folder = feature_folder(data_bin, "train", "en", "de")
    return {name: (folder / name).read_bytes() for name in (*NAMES, "agreement.png")}


def run(*words: object) -> int:
    return main([*map(str, words), "--no-progress"])


def test_any_number_of_workers_gives_the_same_bits(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process runs twice; two workers share all steps, as threads and as processes."""
    for module in (build, learning):
        monkeypatch.setattr(module, "CHUNK", 400)
    build_agreement(str(data), progress=False)
    wanted = written(data)
    for settings in ({}, {"workers": 2, "backend": "threading"}, {"workers": 2}):
        shutil.rmtree(data / "autoassist")
        build_features(str(data), progress=False)
        build_agreement(str(data), progress=False, **settings)
        assert written(data) == wanted, settings


def test_the_command_prints_and_exports_what_it_found(
    data: Path, tmp_path: Path, capsys: Any
) -> None:
    file = tmp_path / "prior.txt"
    file.write_text("what was there before\n")
    assert run(data, "--export", file, "--examples", 2) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].startswith("autoassist-agreement: 1,500 pairs, ") and "in the wrong" in lines[0]
    assert [line.split("%")[0].split()[::2] for line in lines[2:12]] == [
        [str(tenth), str(tenth + 10)] for tenth in range(0, 100, 10)
    ]
    prior = np.fromfile(feature_folder(data, "train", "en", "de") / "prior", "<f4")
    scores = read_scores(file, COUNT, str(data))
    np.testing.assert_allclose(scores, prior, rtol=1e-5, atol=0)
    assert file.read_text().count("\n") == COUNT and list(tmp_path.glob(".*")) == []
    texts = {
        " ||| ".join(" ".join(side.split()) for side in pair)
        for pair in multi30k_pairs("train", COUNT)
    }
    for kind, group in zip(("best", "worst", "doubtful"), np.split(np.array(lines[12:]), 3)):
        for line in group.tolist():
            assert line.split()[0] == kind and line.split("  ")[-1] in texts
    best, worst = (float(lines[n].split()[1]) for n in (12, 14))
    assert best == round(float(prior.max()), 3) and worst == round(float(prior.min()), 3)


def test_output_without_these_characters_and_a_reader_that_left_lose_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = tmp_path / "printed"
    read, write = os.pipe()
    os.close(read)
    streams = open(printed, "w", encoding="ascii"), open(write, "w", encoding="utf-8")
    for number, stream in enumerate(streams):
        monkeypatch.setattr(sys, "stdout", stream)
        file = tmp_path / f"prior{number}.txt"
        assert run(data, "--examples", 100, "--export", file) == 0
        assert len(read_scores(file, COUNT, str(data))) == COUNT
        stream.close()  # a reader that left is told of once
    assert "\\xe4" in printed.read_text("ascii")


def test_too_few_pairs_are_all_kept(tmp_path: Path, capsys: Any) -> None:
    data = write_words(tmp_path / "bin", multi30k_pairs("train", 999))
    build_features(str(data), progress=False)
    assert run(data) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.count("\n") == 1
    assert "999 pairs are too few" in out and "every prior is 1" in out
    folder = feature_folder(data, "train", "en", "de")
    opened = Agreement.open(folder, "again")
    assert opened is not None
    opened.check_sizes()
    assert np.fromfile(folder / "prior", "<f4").tolist() == [1.0] * 999


def test_help_and_wrong_arguments_end_the_command_at_once(capsys: Any) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0 and "--export FILE" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        main(["data", "--sample", "0"])
    assert left.value.code == 2 and "found 0, expected at least 1" in capsys.readouterr().err


def test_new_features_say_that_the_prior_is_gone(data: Path, tmp_path: Path, capsys: Any) -> None:
    assert tfidf([str(data), "--no-progress", "--force"]) == 0
    assert "prior" not in capsys.readouterr().out  # there was none
    assert run(data) == 0
    capsys.readouterr()
    assert tfidf([str(data), "--no-progress"]) == 0
    assert "prior" not in capsys.readouterr().out  # it is still there
    assert len(written(data)) == 4
    assert tfidf([str(data), "--no-progress", "--force"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "the prior of autoassist-agreement was removed with the old features" in last
    command = f"autoassist-agreement {data} --source-lang en --target-lang de"
    assert last.endswith(f"make it again with: {command}")
    assert Agreement.open(feature_folder(data, "train", "en", "de"), "again") is None
    assert main([*command.split()[1:], "--no-progress"]) == 0
    assert len(written(data)) == 4


def test_the_command_to_make_the_prior_again_has_the_options_of_the_features(
    made: Path, tmp_path: Path, capsys: Any
) -> None:
    """Options are two data-bins, and --dest."""
    a, b = (Path(shutil.copytree(made, tmp_path / name)) for name in "ab")
    (feature_folder(b, "train", "en", "de") / "prior").write_bytes(b"half of an agreement")
    assert tfidf([f"{a}:{b}", "--no-progress"]) == 0
    assert f"again with: autoassist-agreement {a}:{b} --source" in capsys.readouterr().out
    dest = tmp_path / "my place"
    assert tfidf([str(a), "--no-progress", "--dest", str(dest)]) == 0
    (dest / "train.en-de" / "agreement.json").write_text("{}")
    capsys.readouterr()
    assert tfidf([str(a), "--no-progress", "--dest", str(dest), "--force"]) == 0
    assert capsys.readouterr().out.endswith(f"--target-lang de --dest '{dest}'\n")
