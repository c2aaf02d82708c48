"""Prior of a data-bin of real text: it keeps translations and drops junk made of them."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.stats import rankdata

from fairseq_autoassist.features.agreement.build import AgreementReport, build_agreement
from fairseq_autoassist.features.agreement.files import NAMES as AGREED
from fairseq_autoassist.features.agreement.files import Agreement
from fairseq_autoassist.features.agreement.passes import LEAST, POWER
from fairseq_autoassist.features.agreement.statistics import BINS, NAMES
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.tfidf.build import build_features
from fairseq_autoassist.text.corpus import open_shard
from tests.support.corpus import multi30k_pairs, preprocess, write_text

COUNT, COPIES = 6000, 200  # real pairs, and copies of the English added to them
SPLIT = 3700  # pairs of the first of two data-bins
OKAY, MISALIGNED, COPY_OF_ENGLISH = range(3)


class Corpus(NamedTuple):
    """Pairs and the type of each."""

    pairs: list[tuple[str, str]]
    types: np.ndarray


class Found(NamedTuple):
    """Output of the command on a data-bin."""

    report: AgreementReport
    folder: Path
    told: dict[str, Any]


@functools.lru_cache(maxsize=None)
def noisy_corpus() -> Corpus:
    """Real pairs, half of them with targets of one another, and copies of the English."""
    pairs = multi30k_pairs("train", COUNT)
    rng = np.random.default_rng(0)
    bad = rng.permutation(COUNT)[: COUNT // 2]
    mixed = list(pairs)
    for one, other in zip(bad, np.roll(bad, 1)):
        mixed[one] = (pairs[one][0], pairs[other][1])
    types = np.where(np.isin(np.arange(COUNT), bad), MISALIGNED, OKAY)
    english = [english for english, _ in multi30k_pairs("train", COPIES, COUNT)]
    mixed += [(text, text) for text in english]
    types = np.concatenate([types, np.full(COPIES, COPY_OF_ENGLISH)])
    order = rng.permutation(len(mixed))
    return Corpus([mixed[n] for n in order], types[order])


@pytest.fixture(scope="module")
def bins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data-bins ``clean``, ``noisy``, and ``a`` and ``b``, which hold the noisy pairs."""
    root = tmp_path_factory.mktemp("bins")
    noisy = noisy_corpus().pairs
    texts = {
        "noisy": noisy,
        "clean": multi30k_pairs("train", 4000),
        "a": noisy[:SPLIT],
        "b": noisy[SPLIT:],
    }
    dicts = ["--srcdict", root / "noisy" / "dict.en.txt", "--tgtdict", root / "noisy/dict.de.txt"]
    jobs = []
    for name, pairs in texts.items():
        job = ["--trainpref", write_text(root / f"text.{name}", pairs), "--destdir", root / name]
        jobs.append([*job, *(dicts if name in "ab" else [])])
    preprocess(jobs)
    for name in ("clean", "noisy", f"a:{root}/b"):
        build_features(f"{root}/{name}", progress=False)
    return root


def found(data_bin: Path, **settings: Any) -> Found:
    """Run the command on one data-bin, and read what it wrote."""
    report = build_agreement(str(data_bin), progress=False, **settings)
    folder = feature_folder(data_bin, "train", "en", "de")
    return Found(report, folder, told_in(folder))


def told_in(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "agreement.json").read_text(encoding="utf-8"))


def prior_in(folder: Path) -> np.ndarray:
    return np.fromfile(folder / "prior", dtype="<f4")


def area(better: np.ndarray, worse: np.ndarray) -> float:
    """Share of pairs of values in which the better one is higher (AUC)."""
    ranks = rankdata(np.concatenate([better, worse]))[: len(better)].sum()
    return (ranks - len(better) * (len(better) + 1) / 2) / (len(better) * len(worse))


@pytest.fixture(scope="module")
def noisy(bins: Path) -> Found:
    return found(bins / "noisy")


@pytest.fixture(scope="module")
def clean(bins: Path) -> Found:
    return found(bins / "clean")


def test_a_clean_corpus_is_left_alone(clean: Found) -> None:
    prior = prior_in(clean.folder)
    assert clean.told["null_share"] <= 0.02
    assert clean.told["mean_prior"] == pytest.approx(prior.mean(dtype=np.float64))
    assert clean.told["mean_prior"] >= 0.97
    assert clean.told["copies"] <= 2 and sum(clean.told["wrong_language"].values()) <= 4


def test_misaligned_pairs_are_told_from_translations(noisy: Found) -> None:
    types, prior = noisy_corpus().types, prior_in(noisy.folder)
    assert area(prior[types == OKAY], prior[types == MISALIGNED]) >= 0.98
    assert noisy.told["null_share"] == pytest.approx(0.5, abs=0.08)
    assert prior[types == OKAY].mean() >= 0.85
    assert prior[types == MISALIGNED].mean() <= 0.1


def test_copies_are_junk(noisy: Found) -> None:
    prior = prior_in(noisy.folder)[noisy_corpus().types == COPY_OF_ENGLISH]
    assert (prior < 0.01).mean() > 0.95
    assert noisy.told["copies"] == pytest.approx(COPIES, abs=2)
    assert noisy.told["wrong_language"]["de"] == pytest.approx(COPIES, abs=8)
    assert noisy.told["wrong_language"]["en"] <= 5


def test_the_files_describe_the_prior_and_the_data(noisy: Found, bins: Path) -> None:
    rows, told = COUNT + COPIES, noisy.told
    prior = prior_in(noisy.folder)
    assert np.array_equal(prior, noisy.report.prior) and len(prior) == rows == told["pairs"]
    assert prior.min() >= np.float32(LEAST) and prior.max() <= 1
    assert told["prior_sha256"] == hashlib.sha256(prior.tobytes()).hexdigest()
    codes = (noisy.folder / "agreement.bins").read_bytes()
    assert told["bins_sha256"] == hashlib.sha256(codes).hexdigest()
    assert told["deciles"] == pytest.approx(np.quantile(prior, np.linspace(0, 1, 11)).tolist())
    assert told["enough_pairs"] is True and told["power"] == POWER
    assert told["statistics"] == list(NAMES) and told["bins"] == BINS
    assert told["settings"]["sample"] == 500_000
    data = [(bins / "noisy" / f"train.en-de.{lang}.bin").read_bytes() for lang in ("en", "de")]
    assert told["tokens"] == [hashlib.sha256(some).hexdigest() for some in data]
    assert (noisy.folder / "agreement.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    names = {path.name for path in noisy.folder.iterdir() if not path.name.startswith("block")}
    assert names == {*AGREED, "agreement.png", "manifest.json", "rarity"}


def test_bins_of_the_statistics_tell_the_types_of_pairs_apart(noisy: Found) -> None:
    codes = np.fromfile(noisy.folder / "agreement.bins", np.uint8).reshape(-1, len(NAMES))
    assert len(codes) == COUNT + COPIES and codes.max() == BINS - 1
    types = noisy_corpus().types
    means = {
        name: [codes[types == kind, n].mean() for kind in range(3)] for n, name in enumerate(NAMES)
    }
    for name in NAMES[:4]:  # information and coverage
        assert means[name][OKAY] > means[name][MISALIGNED] + 2
        assert np.bincount(codes[:, NAMES.index(name)], minlength=BINS).min() > 0
    assert means["copy_share"][COPY_OF_ENGLISH] == BINS - 1 > means["copy_share"][OKAY] + 0.5
    assert means["language_target"][COPY_OF_ENGLISH] < 0.2 < means["language_target"][OKAY]


def test_training_accepts_the_agreement(noisy: Found, bins: Path) -> None:
    opened = Agreement.open(noisy.folder, "again")
    assert opened is not None
    opened.check_sizes()
    shard = open_shard(bins / "noisy", bins / "noisy", "train", "en", "de")
    opened.check(shard.fingerprint())
    prior = opened.prior(0.001)
    ids = np.array([7, 0, 3000])
    assert np.array_equal(prior.of(ids), np.maximum(noisy.report.prior[ids], np.float32(0.001)))
    assert opened.codes.statistics == opened.statistics == NAMES


def test_two_data_bins_are_judged_as_one_corpus(noisy: Found, bins: Path) -> None:
    report = build_agreement(f"{bins}/a:{bins}/b", progress=False)
    folders = [feature_folder(bins / name, "train", "en", "de") for name in "ab"]
    assert report.folders == tuple(folders)
    priors = [prior_in(folder) for folder in folders]
    assert [len(prior) for prior in priors] == [SPLIT, COUNT + COPIES - SPLIT]
    both = np.concatenate(priors)
    assert np.array_equal(both, report.prior)
    assert np.abs(both - noisy.report.prior).mean() < 0.01
    told = [told_in(folder) for folder in folders]
    for key in ("pairs", "null_share", "mean_prior", "deciles", "copies"):
        assert told[0][key] == told[1][key]
        assert told[0][key] == pytest.approx(noisy.told[key], rel=0.05, abs=0.01)
    for folder, name in zip(folders, "ab"):
        opened = Agreement.open(folder, "again")
        assert opened is not None
        opened.check_sizes()
        opened.check(open_shard(bins / name, bins / "a", "train", "en", "de").fingerprint())
        assert (folder / "agreement.png").stat().st_size > 1000
    assert told[0]["tokens"] != told[1]["tokens"]


def test_a_sample_smaller_than_the_corpus_is_enough(
    bins: Path, tmp_path: Path, noisy: Found
) -> None:
    dest = tmp_path / "elsewhere"
    build_features(str(bins / "noisy"), dest=str(dest), progress=False)
    report = build_agreement(str(bins / "noisy"), dest=str(dest), sample=2500, progress=False)
    types = noisy_corpus().types
    assert report.folders[0].parent == dest and len(report.prior) == COUNT + COPIES
    assert not np.array_equal(report.prior, noisy.report.prior)
    assert area(report.prior[types == OKAY], report.prior[types == MISALIGNED]) > 0.95
    assert told_in(report.folders[0])["settings"]["sample"] == 2500
