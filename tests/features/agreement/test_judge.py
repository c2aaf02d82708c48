"""Verdict on a pair: how information, evidence and languages make its prior."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fairseq_autoassist.features.agreement import passes
from fairseq_autoassist.features.agreement.statistics import BINS, NAMES
from tests.support.agreement import pairs_of

PAIRS = pairs_of([[4, 5], [6]], [[4], [5, 6, 7]])
POSTERIOR = np.array([0.9, 0.5])
AGAINST = np.array([0.0, -1.0])
RIGHT = np.array([[0.8, 1.0], [1.0, 0.4]], dtype=np.float32)  # of source and of target


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Arguments that the learned models were asked with."""
    values = np.zeros((2, len(NAMES)), dtype=np.float32)
    values[:, :2] = [[3.0, 1.0], [2.0, 4.0]]  # information of both directions
    values[:, 5:7] = [[0.1, 0.6], [0.2, 0.7]]  # of lengths, of numbers
    monkeypatch.setattr(passes, "statistics", lambda *_: values)
    monkeypatch.setattr(passes, "read_pairs", lambda *_: PAIRS)
    return {}


def judged(asked: dict[str, Any]) -> passes.Verdict:
    def answer(name: str, value: Any) -> Any:
        return lambda *given: asked.update({name: given}) or value

    joint = [np.zeros(9), np.zeros(9)]
    judge = SimpleNamespace(
        vocabulary=SimpleNamespace(joint=joint, joined=lambda pairs: pairs),
        languages=SimpleNamespace(told=answer("languages", (RIGHT, np.array([False, True])))),
        groups=SimpleNamespace(posterior=answer("groups", POSTERIOR)),
        evidence=SimpleNamespace(against=answer("evidence", AGAINST)),
        usual_ratio=0.0,
        edges=np.zeros((len(NAMES), BINS - 1), dtype=np.float32),
        lexicons=Path(),
    )
    return passes.judge_pairs((Path(), Path()), 0, 2, judge)  # type: ignore[arg-type]


def test_the_prior_is_the_square_of_posterior_and_languages(asked: dict[str, Any]) -> None:
    found = judged(asked)
    second = 1.0 / (1.0 + np.exp(1.0))  # log odds 0 of the posterior, and -1 of the evidence
    assert found.prior == pytest.approx([(0.9 * 0.8) ** 2, (second * 0.4) ** 2], rel=1e-5)
    assert found.wrong.tolist() == [[False, False], [False, True]]


def test_the_lower_information_and_the_shorter_side_count(asked: dict[str, Any]) -> None:
    found = judged(asked)
    low, lengths, names = asked["groups"]
    assert found.low.tolist() == low.tolist() == [1.0, 2.0]
    assert lengths.tolist() == [1, 1] and names.tolist() == [False, True]
    numbers, unusual = asked["evidence"]
    assert numbers == pytest.approx([0.6, 0.7]) and unusual == pytest.approx([0.1, 0.2])


def test_a_pair_is_measured_by_the_lexicon_of_the_other_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passes.Lexicon, "open", lambda folder: int(folder.name[-2]))  # its half
    told = lambda half, given, other: 2 * (np.full(len(given.lengths), half, np.float32),)  # noqa: E731
    monkeypatch.setattr(passes, "information", told)
    assert passes._information(Path(), PAIRS, np.array([0, 1])).tolist() == 4 * [[1.0, 0.0]]
