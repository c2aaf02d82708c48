"""Arguments: wrong ones are refused in one line, before training; features may have any form."""

from __future__ import annotations

import tracemalloc
from typing import NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from fairseq_autoassist.errors import AutoAssistError
from fairseq_autoassist.features.dense import DenseFile
from fairseq_autoassist.features.files import block_files
from fairseq_autoassist.features.manifest import Manifest
from fairseq_autoassist.features.memory import HeldFeatures
from fairseq_autoassist.pytorch import AutoAssist
from fairseq_autoassist.pytorch.saving import check_state, header_of
from fairseq_autoassist.text.fingerprint import Fingerprint
from tests.support.devices import on_device
from tests.support.loop import BATCH, ITEMS, STRATEGIES, WIDTH, Loop, make, points

SOME = points()[0]


class OfTheProgram(HeldFeatures):
    """Opener whose class another process cannot import."""

    __module__ = "__main__"


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
        ({"features": np.zeros((0, 2))}, r"type float64 with shape \(0, 2\)"),
        ({"features": sp.csr_array((0, 2))}, "all 0"),
        ({"features": OfTheProgram(SOME)}, "a class in the program itself, OfTheProgram"),
        ({"features": np.array([["a"]])}, "type <U1"),
        ({"features": "nowhere.npy"}, "cannot read features from nowhere.npy"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"batch_size": "32"}, "batch_size '32', expected a whole number, at least 1"),
        ({"batch_size": 2.5}, "batch_size 2.5, expected a whole number"),
        ({"lag": 0}, "lag 0"),
        ({"lag": None}, "lag None, expected a whole number"),
        ({"seed": "1"}, "seed '1', expected a whole number"),
        ({"max_batches": -1}, "max_batches -1, expected a whole number, at least 0"),
        ({"max_batches": 1.5}, "max_batches 1.5, expected a whole number"),
        ({"max_passes": -1.0}, "max_passes -1.0, expected a number, at least 0"),
        ({"max_passes": float("inf")}, "max_passes inf, expected a number"),
        ({"max_passes": float("nan")}, "max_passes nan, expected a number"),
        ({"max_passes": "4"}, "max_passes '4', expected a number"),
        ({"floor": "0.5"}, "floor is '0.5' of type str, expected a number, between 0.0 and 1.0"),
        ({"guard_pairs": 2.5}, "guard_pairs is 2.5 of type float, expected a whole number"),
        ({"floor": True}, "floor is True of type bool, expected a number"),
        ({"features": [[1.0], [1.0, 2.0]]}, "features that numpy cannot read: give AutoAssist"),
        ({"features": torch.eye(9).to_sparse()}, "features that numpy cannot read"),
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
    if kind == "file":  # read as it is, so with the scale and the constant of an array
        rows = SOME / np.sqrt(2 * np.square(SOME).sum(1).mean())
        constant = np.full((len(rows), 1), np.sqrt(0.5))
        np.save(folder / "rows.npy", np.hstack([rows, constant]).astype(np.float32))
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


TENSORS = {
    "grad": lambda rows: rows.requires_grad_(),
    "bfloat16": lambda rows: rows.bfloat16(),
    "half": lambda rows: rows.half(),
    "on a device": on_device,
}


@pytest.mark.parametrize("kind", TENSORS)
def test_features_may_be_any_tensor(kind):
    rows = torch.from_numpy(SOME.copy()).bfloat16().float()  # every kind can hold these values
    expected = AutoAssist(rows.numpy().copy(), BATCH)._alone.features.matrix
    found = AutoAssist(TENSORS[kind](rows), BATCH)._alone.features.matrix
    np.testing.assert_array_equal(found, expected)


def test_a_prior_and_a_difficulty_may_be_tensors_on_a_device():
    ones = on_device(torch.ones(ITEMS))
    assert AutoAssist(SOME, BATCH, prior=ones)._alone.prior.values.tolist() == [1.0] * ITEMS
    arguments = {"strategy": "competence", "competence_updates": 9}
    assert AutoAssist(ITEMS, BATCH, difficulty=ones, **arguments)._alone.items.difficulty[-1] == 599


def test_a_state_of_a_run_with_numbers_of_numpy_is_plain(tmp_path):
    """``torch.load`` with ``weights_only`` refuses numbers of numpy."""
    whole = {"batch_size": np.int64(BATCH), "seed": np.int64(3), "max_batches": np.int32(9)}
    others = {"floor": np.float64(0.5), "max_passes": np.float32(2), "drop_last": np.bool_(False)}
    assist = AutoAssist(SOME, **whole, **others, inline=True)
    torch.save(assist.state_dict(), tmp_path / "state.pt")
    assist.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))


def test_the_features_given_are_left_as_they_are():
    dense, sparse = SOME.copy(), sp.csr_array(SOME)
    for given in (dense, sparse):
        AutoAssist(given, BATCH, inline=True).state_dict()
    assert np.array_equal(dense, SOME)
    assert np.array_equal(sparse.toarray(), SOME)


def word_bags(columns):
    """CSR matrix of ones, in the same places of each row's values."""
    rows = np.repeat(np.arange(ITEMS), 2)
    ones = np.ones(len(rows), dtype=np.float32)
    return sp.csr_array((ones, (rows, columns)), shape=(ITEMS, WIDTH))


def saved_rows(values, path):
    np.save(path, values)
    return str(path)


def tfidf_folder(path, text):
    """Features of two pairs of a text with this hash."""
    path.mkdir()
    files = block_files(path, 0)
    np.array([0, 1, 2], "<i4").tofile(files.indptr)
    np.array([0, 3], "<i4").tofile(files.indices)
    np.ones(2, "<f4").tofile(files.data)
    told = {"fingerprint": Fingerprint(2, "", "", ""), "provenance": {"tokens": [text, text]}}
    sizes = {"rows": 2, "dimensions": 4, "source_dimensions": 2, "nnz": 2, "blocks": (2,)}
    names = {"subset": "train", "source_lang": "de", "target_lang": "en"}
    Manifest(**sizes, **names, **told, block_nonzeros=(2,)).save(path)
    return str(path)


COLUMNS = np.tile([0, 3, 1, 4], ITEMS // 2)


class Opener(NamedTuple):
    """Opener of features of some other kind, of which the shape alone is known."""

    dimensions: int
    rows: int = 1_281_167

    def open(self):
        return self


OTHERS = {
    "columns": lambda path: (word_bags(COLUMNS), word_bags(5 - COLUMNS)),
    "rows": lambda path: (sp.csr_array(np.eye(ITEMS)[:, :4]), sp.csr_array(np.eye(ITEMS)[:, 4:8])),
    "file": lambda path: (
        saved_rows(SOME, path / "a.npy"),
        saved_rows(SOME[:, ::-1], path / "b.npy"),
    ),
    "one row": lambda path: (
        saved_rows(SOME, path / "a.npy"),
        saved_rows(np.vstack([SOME[:-1], 0 * SOME[-1:]]), path / "b.npy"),
    ),
    "text": lambda path: (tfidf_folder(path / "a", "f00d"), tfidf_folder(path / "b", "beef")),
    "width": lambda path: (Opener(2048), Opener(2000)),
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_features_have_another_identity(other, tmp_path):
    first, second = (AutoAssist(one, BATCH)._alone for one in OTHERS[other](tmp_path))
    state = {"snapshot": {}, "rank": 0, "world_size": 1, **header_of(first, False)}
    with pytest.raises(AutoAssistError, match="the state has features"):
        check_state(state, second, False)


def test_a_state_of_another_difficulty_is_refused():
    arguments = {"features": ITEMS, "batch_size": BATCH, "strategy": "competence"}
    first, again, other = (
        AutoAssist(**arguments, competence_updates=9, difficulty=np.roll(np.arange(ITEMS), by))
        for by in (0, 0, 1)
    )
    state = {"snapshot": {}, "rank": 0, "world_size": 1, **header_of(first._alone, False)}
    check_state(state, again._alone, False)
    with pytest.raises(AutoAssistError, match="the state has difficulty"):
        check_state(state, other._alone, False)


def test_the_same_rows_in_a_file_have_the_same_identity_in_any_order_of_storage(tmp_path):
    plain = AutoAssist(saved_rows(SOME, tmp_path / "a.npy"), BATCH)._alone
    turned = AutoAssist(saved_rows(np.asfortranarray(SOME), tmp_path / "b.npy"), BATCH)._alone
    assert plain.features_hash == turned.features_hash


@pytest.mark.parametrize("arguments", [{"inline": True}, {"strategy": "random"}])
def test_an_opener_of_the_program_is_taken_where_no_process_opens_it(arguments):
    assert Loop(AutoAssist(OfTheProgram(SOME), BATCH, **arguments)).assist.metrics == {}


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
    assert spec.dimensions == 49 + 1 and np.isclose(np.square(rows).sum(1).mean(), 1.0)


def test_features_around_0_tell_items_apart_by_a_constant():
    """Without it no weights say that most items are below the threshold."""
    rows = np.random.default_rng(0).normal(size=(2_000, 4))
    losses = np.where(rows[:, 0] > 0.84, 1.0, 0.1)  # a fifth of the items is hard
    for given in (rows, sp.csr_array(rows)):
        assist = AutoAssist(given, BATCH, inline=True, epoch=300)
        for ids in assist:
            assist.report(ids, torch.tensor(losses[ids], requires_grad=True))
        assert assist.metrics["acc"] > assist.metrics["majority"] + 0.05
        assert assist.metrics["skipped"] > 0.05


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
