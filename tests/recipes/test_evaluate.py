"""What evaluate.py makes of fairseq-generate's output."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from recipes.multi30k.evaluate import evaluate, hypotheses, score

OUTPUT = "S-1\t▁two\nH-1\t-0.4\t▁zwei ▁Männer\nD-1\t-0.4\t▁zwei\nS-0\t▁a\nH-0\t-0.5\t▁ein ▁Mann\n"


def test_order_is_the_test_sets(tmp_path: Path) -> None:
    path = tmp_path / "generate.txt"
    path.write_text(OUTPUT + "Generate test with beam=5\n", encoding="utf-8")
    assert hypotheses(path, 2) == ["▁ein ▁Mann", "▁zwei ▁Männer"]
    with pytest.raises(SystemExit, match="holds 2 translations; expected one for each of 3"):
        hypotheses(path, 3)


def test_what_is_not_there_yet_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=rf"multi30k.prepare --out {tmp_path}`"):
        evaluate(tmp_path, tmp_path / "run")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "test.de").touch()
    with pytest.raises(SystemExit, match=rf"train.sh {tmp_path}/data-bin {tmp_path}/run`"):
        evaluate(tmp_path, tmp_path / "run")


def test_scores_carry_their_signature() -> None:
    text = ["Ein Mann schläft auf einer Bank .", "Zwei Hunde laufen durch den Schnee ."]
    scores = score(text, text)
    assert scores["BLEU"]["score"] == pytest.approx(100)
    assert "tok:13a" in str(scores["BLEU"]["signature"])
    assert "nc:6" in str(scores["chrF2"]["signature"])
    # four words of seven, all of them right: taken for the reference they would give 41
    half = score(["Ein Mann schläft auf"], text[:1])
    assert half["BLEU"]["score"] == pytest.approx(100 * math.exp(1 - 7 / 4), abs=0.01)
