"""Search for runs by id, and refusal of unknown names."""

from __future__ import annotations

import pytest

from recipes.compare.matrices import MATRICES, run_of, runs_of
from recipes.compare.settings import marks_of
from recipes.compare.train import model_words


def flag(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


@pytest.mark.parametrize("name", MATRICES)
def test_every_run_of_a_matrix_is_found_by_its_id(name: str) -> None:
    runs = runs_of([name])
    assert runs and [run_of(run.id) for run in runs] == runs


def test_half_the_length_halves_updates_warm_up_and_marks() -> None:
    usual = run_of("multi30k.transformer.band.b070.s2")
    half = run_of(f"multi30k.transformer.band.b070.s2.u{usual.training.updates // 2}")
    assert run_of(half.id) == half != usual
    assert 2 * half.updates == usual.updates
    for name in ("--max-update", "--total-num-update", "--warmup-updates"):
        assert 2 * int(flag(model_words(half), name)) == int(flag(model_words(usual), name))
    marks = marks_of(half.training, half.updates)
    assert [2 * mark for mark in marks] == marks_of(usual.training, usual.updates)


def test_an_unknown_matrix_is_refused() -> None:
    with pytest.raises(SystemExit, match="found no matrix 'all'; expected one of smoke,"):
        runs_of(["all"])


@pytest.mark.parametrize(
    "name",
    [
        "multi30k.tiny.nobody.b100.s1",
        "nowhere.tiny.uniform.b100.s1",
        "multi30k.tiny.uniform.b000.s1",
        "multi30k.tiny.uniform.b100",
        "multi30k.tiny.uniform.b100.s1.u0",
        "multi30k.tiny.uniform.b100.s1.60",
        "tatoeba.wide.uniform.b100.s1",  # only Multi30k has settings of this size
    ],
)
def test_an_unknown_run_is_refused(name: str) -> None:
    with pytest.raises(SystemExit, match=rf"found no run '{name}'; expected CORPUS"):
        runs_of([name])
