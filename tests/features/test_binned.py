"""Statistics of agreement: columns of features, products with weights, and checks of files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from fairseq_autoassist.cli.tfidf import main as build_features
from fairseq_autoassist.core.worker.client import Exchange
from fairseq_autoassist.core.worker.process import ProcessExchange
from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.features.agreement.files import (
    AGREEMENT_NAME,
    CODES_NAME,
    PRIOR_NAME,
    Agreement,
)
from fairseq_autoassist.features.binned import Binned, Codes
from fairseq_autoassist.features.store import Features, StoredFeatures
from fairseq_autoassist.text.corpus import open_shard
from tests.support.corpus import write_data_bin
from tests.support.priors import BINS, STATISTICS, codes_of, write_agreement
from tests.support.strategies import PAIRS, RareFeatures, spec_of

PRIOR = np.linspace(0.01, 1.0, PAIRS, dtype=np.float32)
COMMAND = "autoassist-agreement bin"
IDS = np.array([7, 0, 399, 7, 123])


def binned() -> Binned:
    return Binned(RareFeatures(), codes_of(PRIOR), BINS)


def test_each_statistic_is_one_column_of_its_bins() -> None:
    features = binned()
    rows = features.gather(IDS).matrix
    assert isinstance(rows, sp.csr_array) and rows.dtype == np.float32
    assert rows.shape == (len(IDS), features.dimensions) == (len(IDS), 20 + 3 * BINS)
    dense, before = rows.toarray(), RareFeatures().gather(IDS).matrix.toarray()
    np.testing.assert_array_equal(dense[:, :20], before)
    np.testing.assert_allclose(np.linalg.norm(dense[:, 20:], axis=1), 1.0, rtol=1e-6)
    expected = np.zeros((len(IDS), 3 * BINS), np.float32)
    for row, pair in enumerate(IDS):
        for statistic, code in enumerate(codes_of(PRIOR)[pair]):
            expected[row, statistic * BINS + code] = 3**-0.5
    np.testing.assert_allclose(dense[:, 20:], expected, rtol=1e-6)


def test_scores_are_the_product_and_make_no_matrix(monkeypatch) -> None:
    features = binned()
    weights = np.random.default_rng(0).normal(size=features.dimensions).astype(np.float32)
    expected = features.gather(IDS).dot(weights)
    monkeypatch.setattr(Binned, "gather", None)
    monkeypatch.setattr(sp, "hstack", None)
    found = features.scores(IDS, weights)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert len(features.scores(IDS[:0], weights)) == 0


def test_the_difficulty_is_that_of_the_extended_features() -> None:
    np.testing.assert_array_equal(binned().difficulty, RareFeatures().difficulty)


def test_a_bin_that_does_not_exist_is_refused() -> None:
    codes = codes_of(PRIOR)
    codes[7, 1] = BINS
    features = Binned(RareFeatures(), codes, BINS)
    features.gather(IDS[1:3])
    for use in (features.gather, lambda ids: features.scores(ids, np.zeros(32, np.float32))):
        with pytest.raises(FeatureError, match="damaged: found bin 4, expected 0 to 3; write it"):
            use(IDS)
    with pytest.raises(ValueError, match=r"codes of shape \(9, 3\), expected \(400, statistics\)"):
        Binned(RareFeatures(), codes[:9], BINS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data-bin with features and an agreement, which no test may change."""
    data = write_data_bin(tmp_path_factory.mktemp("data") / "bin", PAIRS, vocabulary=300)
    assert build_features([str(data)]) == 0
    write_agreement(data, PRIOR)
    return data


def test_features_on_disk_are_pickled_by_their_path(made: Path) -> None:
    folder = made / "autoassist" / "train.de-en"
    codes = Codes(str(folder / CODES_NAME), STATISTICS, BINS)
    features = Binned.open(Features.open(folder), codes)
    sent = pickle.dumps(features)
    assert len(sent) < 2000
    back = pickle.loads(sent)
    assert (back.gather(IDS).matrix != features.gather(IDS).matrix).nnz == 0
    assert back.dimensions == Features.open(folder).dimensions + codes.columns
    np.testing.assert_array_equal(back.difficulty, Features.open(folder).rarity)


def opened(folder: Path) -> Agreement:
    found = Agreement.open(folder, COMMAND)
    assert found is not None
    return found


def test_an_agreement_of_the_same_data_is_accepted(made: Path) -> None:
    folder = made / "autoassist" / "train.de-en"
    found = opened(folder)
    found.check_sizes()
    found.check(open_shard(made, made, "train", "de", "en").fingerprint())
    np.testing.assert_array_equal(found.prior(0.001).of(np.arange(PAIRS)), PRIOR)
    hashed = hashlib.sha256(codes_of(PRIOR).tobytes()).hexdigest()
    assert found.codes == Codes(str(folder / CODES_NAME), STATISTICS, BINS, hashed, COMMAND)
    assert Agreement.open(made, COMMAND) is None


def test_an_agreement_of_an_older_version_has_the_hash_of_its_bins(tmp_path: Path) -> None:
    data = write_data_bin(tmp_path / "bin", PAIRS, vocabulary=300)
    folder = write_agreement(data, PRIOR)
    new = opened(folder)
    damage(folder, "no bins_sha256")
    assert opened(folder) == new
    damage(folder, "bin")
    old = opened(folder)
    old.check(open_shard(data, data, "train", "de", "en").fingerprint())
    assert old.codes.sha256 != new.codes.sha256


@pytest.mark.timeout(60)
def test_the_assistant_learns_from_statistics_in_the_worker_and_inline(made: Path) -> None:
    folder = made / "autoassist" / "train.de-en"
    codes = opened(folder).codes
    spec = dataclasses.replace(
        spec_of("autoassist", lag=10), features=StoredFeatures(str(folder), codes)
    )
    spec = dataclasses.replace(spec, dimensions=Features.open(folder).dimensions + codes.columns)
    found, weights = [], np.empty(0)
    for kind in (Exchange, ProcessExchange):
        exchange = kind(spec)
        try:
            batches = []
            for _ in range(60):
                batches.append(exchange.next_batch())
                losses = 1.0 + codes_of(PRIOR)[batches[-1].ids, 0]  # known from the first statistic
                exchange.report(batches[-1].number, losses.astype(np.float32))
            assert exchange.failure is None
            state = exchange.state_dict()["planner"]["strategy"]["assistant"]
        finally:
            exchange.close()
        found.append([batch.kept.tolist() for batch in batches])
        weights = state["scale"] * state["direction"][-codes.columns :]
    assert found[0] == found[1]
    low, high = weights[0], weights[BINS - 1]
    assert high > low + 0.5 and abs(weights[BINS:]).max() < high - low


def damage(folder: Path, what: str) -> None:
    if what in (PRIOR_NAME, AGREEMENT_NAME, CODES_NAME):
        (folder / what).unlink()
    elif what.startswith("cut "):
        path = folder / what.split()[1]
        path.write_bytes(path.read_bytes()[:-1])
    elif what == "bin":
        codes = np.fromfile(folder / CODES_NAME, np.uint8)
        codes[5] = (codes[5] + 1) % BINS
        codes.tofile(folder / CODES_NAME)
        os.utime(folder / CODES_NAME, (0, 0))  # two writes may have one time
    elif what == "value":
        values = np.fromfile(folder / PRIOR_NAME, "<f4")
        values[3] /= 2
        values.tofile(folder / PRIOR_NAME)
    else:
        told = json.loads((folder / AGREEMENT_NAME).read_text())
        if what.startswith("no "):
            del told[what.split()[1]]
        elif what == "bins":
            told["bins"] = 0
        elif what == "statistics":
            told["statistics"] = []
        elif what == "field":
            told["fingerprint"]["new"] = 1
        (folder / AGREEMENT_NAME).write_text(json.dumps([] if what == "list" else told))


@pytest.mark.parametrize(
    "what, said",
    [
        (PRIOR_NAME, "not whole: found agreement.json and agreement.bins, expected prior, agree"),
        (AGREEMENT_NAME, "not whole: found prior and agreement.bins"),
        (CODES_NAME, "not whole: found prior and agreement.json"),
        ("cut prior", "prior is truncated: found 1599 bytes, expected 1600"),
        ("cut agreement.bins", "agreement.bins is truncated: found 1199 bytes, expected 1200"),
        ("cut agreement.json", "agreement.json is damaged .JSONDecodeError"),
        ("no prior_sha256", "agreement.json is damaged .KeyError: 'prior_sha256'"),
        ("bins", "agreement.json is damaged .ValueError: 0 bins, expected 1 to 256"),
        ("statistics", "agreement.json is damaged .ValueError: no statistics, expected at least"),
        ("field", "agreement.json is damaged .TypeError"),
        ("list", "agreement.json is damaged .TypeError"),
        ("value", "prior is damaged: found sha256 [0-9a-f]{12}, expected [0-9a-f]{12}"),
        ("bin", "agreement.bins is damaged: found sha256 [0-9a-f]{12}, expected [0-9a-f]{12}"),
    ],
)
def test_a_damaged_agreement_is_refused(tmp_path: Path, what: str, said: str) -> None:
    data = write_data_bin(tmp_path / "bin", PAIRS, vocabulary=300)
    folder = write_agreement(data, PRIOR)
    damage(folder, what)
    with pytest.raises(FeatureError, match=said) as error:
        found = opened(folder)
        found.check_sizes()
        found.check(open_shard(data, data, "train", "de", "en").fingerprint())
    assert str(error.value).endswith(f"; write it again with: {COMMAND}")
    assert "\n" not in str(error.value)


def test_an_agreement_of_other_data_is_refused(made: Path, tmp_path: Path) -> None:
    other = write_data_bin(tmp_path / "bin", PAIRS, seed=1, vocabulary=300)
    found = opened(made / "autoassist" / "train.de-en")
    with pytest.raises(FeatureError, match="made of other data than is loaded .sizes") as error:
        found.check(open_shard(other, other, "train", "de", "en").fingerprint())
    assert str(error.value).endswith(f"; write it again with: {COMMAND}")
