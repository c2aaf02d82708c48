"""Resampling of the test set by line and by page."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from recipes.compare.significance import resampled
from tests.support.corpus import multi30k_pairs


@pytest.fixture(scope="module")
def lines() -> tuple[list[str], list[str]]:
    """Translations and references, equal in every second block of ten."""
    german = [target for _, target in multi30k_pairs("val", 200)]
    wrong = [*german[1:], german[0]]
    alike = [(number // 10) % 2 == 0 for number in range(200)]
    return [own if same else other for own, other, same in zip(german, wrong, alike)], german


def test_pages_of_one_line_give_the_scores_of_lines(lines: tuple[list[str], list[str]]) -> None:
    pages = [f"{number:03d}" for number in range(200)]
    assert np.array_equal(resampled(*lines), resampled(*lines, pages=pages))


def test_scores_spread_wider_by_page_where_lines_of_a_page_are_alike(
    lines: tuple[list[str], list[str]],
) -> None:
    pages = [f"page {number // 10}" for number in range(200)]
    by_line, by_page = resampled(*lines), resampled(*lines, pages=pages)
    assert by_page.std() > 2 * by_line.std()
    assert by_page.mean() == pytest.approx(by_line.mean(), abs=3)


def test_another_tokenizer_gives_another_score(lines: tuple[list[str], list[str]]) -> None:
    characters = sacrebleu.BLEU(tokenize="char")
    whole = sacrebleu.BLEU(tokenize="char").corpus_score(lines[0], [lines[1]]).score
    assert resampled(*lines, characters).mean() == pytest.approx(whole, abs=2)
    assert abs(resampled(*lines).mean() - whole) > 2
