"""Arguments: wrong ones are refused in one line, before training; features may have any form."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from fairseq_autoassist.errors import AutoAssistError
from fairseq_autoassist.features.dense import DenseFile
from fairseq_autoassist.pytorch import AutoAssist
from tests.support.loop import BATCH, ITEMS, STRATEGIES, Loop, make, points

SOME = points()[0]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"strategy": "easy"}, "strategy is 'easy', expected one of"),
        ({"floor": 2.0}, "floor is 2.0, expected between 0.0 and 1.0"),
        ({"flor": 0.1}, "found the option 'flor', expected one of: .*floor, .*keep"),
        ({"strategy": "random", "floor": 0.5}, "floor"),
        ({"features": ITEMS}, "'autoassist' needs features, found a number of items"),
        ({"features": 0, "strategy": "uniform"}, "found 0 items"),
        ({"features": np.ones(9)}, r"type float64 with shape \(9,\)"),
        ({"features": np.full((9, 2), np.nan)}, "NaN or infinite"),
        ({"features": np.zeros((9, 2))}, "all 0"),
        ({"features": np.array([["a"]])}, "type <U1"),
        ({"features": "nowhere.npy"}, "cannot read features from nowhere.npy"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"lag": 0}, "lag 0"),
        ({"epoch": "day"}, "epoch='day', expected 'plain'"),
        ({"epoch": 0}, "epoch=0, expected 'plain'"),
        ({"prior": np.ones(5)}, rf"prior of type float64 with shape \(5,\), .* shape \({ITEMS},\)"),
        ({"prior": np.full(ITEMS, 1.5)}, "a prior from 1.5 to 1.5, expected numbers in"),
        ({"strategy": "random", "prior": np.ones(ITEMS)}, "'random' goes without a prior"),
        ({"strategy": "prior"}, "'prior' needs a prior"),
        ({"strategy": "competence"}, "begins with easy items: give difficulty"),
        ({"competence": True}, "begins with easy items: give difficulty"),
        ({"difficulty": np.ones(ITEMS)}, "reads no difficulty"),
        (
            {"strategy": "competence", "difficulty": np.ones(ITEMS)},
            "competence_updates 0 has to know where the run ends: give max_batches",
        ),
        ({"strategy": "infobatch"}, "infobatch_anneal 0.125 has to know where the run ends"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_named(arguments, said):
    with pytest.raises(AutoAssistError, match=said) as caught:
        AutoAssist(**{"features": SOME, "batch_size": BATCH, **arguments})
    (line,) = str(caught.value).splitlines()
    assert "--" not in line, "PyTorch users give no flags"


def features_of(kind, folder):
    if kind == "file":
        np.save(folder / "rows.npy", SOME / np.sqrt(np.square(SOME).sum(1).mean()))
        return str(folder / "rows.npy")
    if kind == "opener":
        features_of("file", folder)
        return DenseFile(str(folder / "rows.npy"))
    kinds = {"csr": sp.csr_matrix, "csc": sp.csc_array, "doubles": np.float64, "scaled": None}
    return 255 * SOME if kind == "scaled" else kinds[kind](SOME)


@pytest.mark.parametrize("kind", ["csr", "csc", "doubles", "scaled", "file", "opener"])
def test_features_may_come_in_any_form_and_scale(kind, tmp_path):
    settings = {"inline": kind != "csr", **STRATEGIES["autoassist"]}  # csr: in a worker
    expected = Loop(make("autoassist", epoch=60))
    found = Loop(AutoAssist(features_of(kind, tmp_path), BATCH, epoch=60, **settings))
    for loop in (expected, found):
        loop.epoch()
    assert found.batches == expected.batches
    assert found.assist.metrics["skipped"] > 0.02
    found.assist.close()


def test_the_features_given_are_left_as_they_are():
    dense, sparse = SOME.copy(), sp.csr_array(SOME)
    for given in (dense, sparse):
        AutoAssist(given, BATCH, inline=True).state_dict()
    assert np.array_equal(dense, SOME)
    assert np.array_equal(sparse.toarray(), SOME)


def test_features_are_held_once():
    """Beside the scaled copy only parts of them are in memory."""
    rows = np.random.default_rng(0).random((40_000, 50), dtype=np.float32)
    tracemalloc.start()
    try:
        spec = AutoAssist(rows, BATCH)._alone
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * rows.nbytes
    scaled = spec.features.matrix.astype(np.float64)
    assert np.isclose(np.square(scaled).sum(1).mean(), 1.0, rtol=1e-6)


def test_bytes_of_pixels_are_features():
    pixels = np.random.default_rng(0).integers(0, 256, (ITEMS, 7, 7), dtype=np.uint8)
    spec = AutoAssist(pixels, BATCH)._alone
    rows = spec.features.open().gather(np.arange(ITEMS)).matrix
    assert spec.dimensions == 49 and np.isclose(np.square(rows).sum(1).mean(), 1.0)


def test_a_strategy_without_features_needs_the_number_of_items_alone():
    loop = Loop(AutoAssist(ITEMS, BATCH, strategy="random", inline=True))
    expected = Loop(make("random", keep=0.7))
    for one in (loop, expected):
        one.epoch()
    assert loop.batches == expected.batches


def test_easy_items_come_first():
    difficulty = np.random.default_rng(3).permutation(ITEMS) / 7
    assist = make("competence", difficulty=difficulty, competence_updates=200)
    loop = Loop(assist)
    loop.epoch()
    seen = np.array(sum(loop.batches[:5], []))
    assert difficulty[seen].max() < np.quantile(difficulty, 0.4)


def test_items_of_prior_1_are_kept_and_items_of_prior_0_hardly():
    loop = Loop(make("autoassist", prior=np.r_[np.ones(ITEMS // 2), np.zeros(ITEMS // 2)]))
    loop.epoch()
    times = np.bincount(sum(loop.batches, []), minlength=ITEMS)
    assert times[: ITEMS // 2].min() >= 1 and times[ITEMS // 2 :].sum() < 10
