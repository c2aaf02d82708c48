"""Scores and messages of evaluate.py for fairseq-generate's output."""

from __future__ import annotations

import math
import os
import re
import runpy
import signal
import sys
from pathlib import Path

import pytest

from preprocess.text import UserError
from recipes.multi30k.evaluate import evaluate, hypotheses, score
from recipes.wmt14_en_de import evaluate as wmt14

OUTPUT = "S-1\t▁two\nH-1\t-0.4\t▁zwei ▁Männer\nD-1\t-0.4\t▁zwei\nS-0\t▁a\nH-0\t-0.5\t▁ein ▁Mann\n"


def test_hypotheses_are_in_the_order_of_the_test_set(tmp_path: Path) -> None:
    path = tmp_path / "generate.txt"
    path.write_text(OUTPUT + "Generate test with beam=5\n", encoding="utf-8")
    assert hypotheses(path, 2) == ["▁ein ▁Mann", "▁zwei ▁Männer"]
    with pytest.raises(SystemExit, match="holds 2 translations; expected one for each of 3"):
        hypotheses(path, 3)


PREPARED = ("text/test.de", "{0}/data-bin/dict.en.txt", "{0}/data-bin/test.en-de.de.idx")
RECIPES = {
    "multi30k": (".", "spm.model", "recipes.multi30k.prepare --out {0}`"),
    "wmt14": ("paper", "spm.de.model", "recipes.wmt14_en_de.prepare --vocab paper --out {0}`"),
}


def call(recipe: str, folder: Path) -> None:
    if recipe == "multi30k":
        evaluate(folder, folder / "run")
    else:
        words = ["--model", "base", "--data", str(folder), "--run", str(folder / "run"), "--cpu"]
        wmt14.main(words)


@pytest.mark.parametrize("missing", range(6))
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_missing_file_is_refused_with_the_command_that_makes_it(
    tmp_path: Path, recipe: str, missing: int
) -> None:
    """Files are checked before the translation; the trained model comes last."""
    vocab, model, maker = RECIPES[recipe]
    names = [name.format(vocab) for name in (*PREPARED, f"{{0}}/{model}")]
    names += [name.replace("en.txt", "de.txt").replace("de.idx", "en.idx") for name in names[1:3]]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if number != missing:
            (tmp_path / name).touch()
    with pytest.raises(UserError, match=re.escape(maker.format(tmp_path))) as error:
        call(recipe, tmp_path)
    assert f"found no {tmp_path / names[missing]};" in str(error.value)
    (tmp_path / names[missing]).touch()
    train = {
        "multi30k": rf"train.sh {tmp_path}/data-bin {tmp_path}/run`",
        "wmt14": "common.average",
    }
    with pytest.raises(UserError, match=train[recipe]):
        call(recipe, tmp_path)


@pytest.mark.parametrize(
    ("name", "last", "warned"),
    [
        ("averaged.pt", 2000, True),
        ("averaged.pt", 500, False),
        ("averaged.pt", None, False),
        ("checkpoint_best.pt", 2000, False),  # an older best checkpoint is no mistake
    ],
)
def test_an_average_older_than_the_last_checkpoint_gives_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    last: int | None,
    warned: bool,
) -> None:
    # Without it, a resumed run would be scored by its earlier weights.

    def translate(*_: object) -> None:
        raise SystemExit("translates")

    monkeypatch.setattr(wmt14, "check_prepared", lambda *_: None)
    monkeypatch.setattr(wmt14, "run_generate", translate)
    run = tmp_path / "run"
    for path, time in (
        ("text/test.de", 0),
        (f"run/{name}", 1000),
        ("run/checkpoint_last.pt", last),
    ):
        if time is not None:
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).touch()
            os.utime(tmp_path / path, (time, time))
    words = ["--model", "base", "--data", str(tmp_path), "--run", str(run), "--checkpoint", name]
    with pytest.raises(SystemExit, match="translates"):
        wmt14.main([*words, "--cpu"])
    out = capsys.readouterr().out
    assert (f"common.average --run {run}`" in out) == warned == bool(out)


@pytest.mark.parametrize(
    "module",
    [
        "recipes.multi30k.evaluate",
        "recipes.wmt14_en_de.evaluate",
        "recipes.wmt14_en_de.standin",
        "recipes.common.average",
    ],
)
def test_sigterm_raises_an_exception_in_a_command(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The exception ends fairseq-generate too and removes half-written files.
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(SystemExit):
            runpy.run_module(module, run_name="__main__")
        assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
        with pytest.raises(SystemExit) as stop:
            signal.raise_signal(signal.SIGTERM)
        assert stop.value.code == 128 + signal.SIGTERM
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_scores_have_signatures_and_compare_hypotheses_with_references() -> None:
    text = ["Ein Mann schläft auf einer Bank .", "Zwei Hunde laufen durch den Schnee ."]
    scores = score(text, text)
    assert scores["BLEU"]["score"] == pytest.approx(100)
    assert "tok:13a" in str(scores["BLEU"]["signature"])
    assert "nc:6" in str(scores["chrF2"]["signature"])
    # Four right words of seven; with the sides swapped the score would be 41.
    half = score(["Ein Mann schläft auf"], text[:1])
    assert half["BLEU"]["score"] == pytest.approx(100 * math.exp(1 - 7 / 4), abs=0.01)
