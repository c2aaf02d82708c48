"""Priors and bins of agreement of several data-bins (``a:b``)."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Callable

import numpy as np
import pytest

from fairseq_autoassist.cli.tfidf import main as build_features
from fairseq_autoassist.core import prior as prior_module
from fairseq_autoassist.errors import ConfigError, FeatureError
from fairseq_autoassist.features.agreement.files import CODES_NAME
from fairseq_autoassist.plugin import prior as plugin_prior
from fairseq_autoassist.plugin.data import open_features
from fairseq_autoassist.text import fingerprint
from tests.plugin.test_prior import LANGUAGES, PRIOR, ROWS, cfg, command_in, opened
from tests.support.corpus import change_text, write_data_bin
from tests.support.priors import BINS, STATISTICS, write_agreement


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Paths of two data-bins; only the first has an agreement."""
    first, second = (write_data_bin(tmp_path / n, ROWS, seed=s) for n, s in (("a", 0), ("b", 1)))
    write_agreement(first, PRIOR)
    return first, second


def test_other_bins_in_any_data_bin_have_another_hash_of_all(two: tuple[Path, Path]) -> None:
    """An old state must not resume on other columns of the same names, nor of the next data-bin."""
    data = ":".join(map(str, two))
    assert build_features([data, "--no-progress"]) == 0

    def hash_of(epoch: int) -> str:
        return open_features(cfg(data), epoch, opened(data, epoch).codes).hash

    hashes = []
    for other in (PRIOR, PRIOR[::-1], PRIOR):
        write_agreement(two[0], PRIOR)
        write_agreement(two[1], other)
        assert hash_of(1) == hash_of(2)
        hashes.append(hash_of(1))
    assert hashes[0] == hashes[2] != hashes[1]


def test_an_agreement_of_other_text_of_the_same_sizes_is_refused(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    """Refuse it in the second data-bin too, before training on the first."""
    data = [shutil.copytree(one, tmp_path / f"d{n}") for n, one in enumerate(two)]
    for one in data:
        write_agreement(one, PRIOR)
    both = ":".join(map(str, data))
    assert opened(both).prior is not None
    change_text(data[1], "en")
    with pytest.raises(FeatureError, match="tokens of the target: found .*, expected") as error:
        opened(both)
    assert command_in(error.value) == [both, *LANGUAGES.split()]


def test_each_data_bin_has_its_own_prior(two: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = two
    write_agreement(second, PRIOR[::-1])
    data = f"{first}:{second}"
    priors = [opened(data, epoch).prior for epoch in (1, 2, 3)]
    for found, expected in zip(priors, (PRIOR, PRIOR[::-1], PRIOR)):
        assert found is not None
        np.testing.assert_array_equal(found.values, expected)
    paths = [tmp_path / name for name in ("x", "y")]
    for value, path in enumerate(paths):
        path.write_text(f"0.{value + 1}\n" * ROWS)
    for epoch in (1, 2):
        mine = opened(data, epoch, prior=":".join(map(str, paths))).prior
        assert mine is not None and mine.mean() == pytest.approx(0.1 * epoch)
    with pytest.raises(ConfigError, match="names 1 files for 2 data-bins"):
        opened(data, prior=str(paths[0]))


def test_scores_of_all_data_bins_are_checked_before_training_on_the_first(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    data, paths = ":".join(map(str, two)), [tmp_path / name for name in ("x", "y")]
    paths[0].write_text("0.5\n" * ROWS)
    for wrong, said in (("0.5\n" * 59, "found 59 lines, expected 60"), ("2\n" * ROWS, "'2'")):
        paths[1].write_text(wrong)
        for epoch in (1, 2):
            with pytest.raises(ConfigError, match=f"{paths[1]}.*{said}"):
                opened(data, epoch, prior=":".join(map(str, paths)))
    (two[1] / "train.de-en.de.idx").write_bytes(b"data of another format")
    assert opened(data, prior=":".join(map(str, paths))).prior is not None


def test_scores_of_other_data_bins_are_read_once_for_their_check(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, paths = ":".join(map(str, two)), [tmp_path / name for name in ("x", "y")]
    read = []

    def counted(path: Path, *about: object) -> np.ndarray:
        read.append(path)
        return np.full(ROWS, 0.5, np.float32)

    monkeypatch.setattr(plugin_prior, "read_scores", counted)
    for epoch in (1, 2, 3, 4):
        opened(data, epoch, prior=":".join(map(str, paths)))
    first, second = paths
    assert read == [first, second, second, first, first, second]


def test_all_data_bins_have_a_prior_or_none_has(two: tuple[Path, Path]) -> None:
    data = ":".join(map(str, two))
    for epoch in (1, 2):
        with pytest.raises(FeatureError, match="of 1 of 2 data-bins, expected that") as error:
            opened(data, epoch)
        assert command_in(error.value) == [data, *LANGUAGES.split()]
    folder = write_agreement(two[1], PRIOR, statistics=STATISTICS[:2])
    with pytest.raises(FeatureError, match="different statistics, expected the same"):
        opened(data)
    write_agreement(two[1], PRIOR)
    (folder / "prior").write_bytes(b"1234")
    with pytest.raises(FeatureError, match="prior is truncated"):  # the first one is whole
        opened(data)


def test_several_named_folders_are_left_out_to_write_the_agreement(two: tuple[Path, Path]) -> None:
    data = ":".join(map(str, two))
    with pytest.raises(ConfigError, match="needs a prior, and there is none in x/.*, y/") as error:
        opened(data, features="x:y", strategy="prior")
    wanted = f"run: autoassist-agreement {data} {LANGUAGES}, and leave --autoassist-features out"
    assert str(error.value).endswith(wanted)


def test_the_worker_names_the_command_of_all_data_bins(two: tuple[Path, Path]) -> None:
    """A data-bin that is built alone would have other document frequencies than the next one."""
    data = ":".join(map(str, two))
    assert build_features([data, "--no-progress"]) == 0
    folder = [write_agreement(one, PRIOR) for one in two][0]
    weighed = opened(data)
    sent = pickle.dumps(weighed.prior)
    stored = open_features(cfg(data), 1, weighed.codes).stored
    assert stored is not None
    stored = pickle.loads(pickle.dumps(stored))
    features = stored.open()
    arguments = f"{data} {LANGUAGES}"

    def damaged(name: str, use: Callable[[], object]) -> str:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1])
        with pytest.raises(FeatureError, match="truncated") as error:
            use()
        (folder / name).write_bytes(content)
        return str(error.value)

    agreement = f"; write it again with: autoassist-agreement {arguments}"
    for name, use in (
        ("prior", lambda: pickle.loads(sent)),
        (CODES_NAME, stored.open),
        (CODES_NAME, lambda: pickle.loads(pickle.dumps(features))),
    ):
        assert damaged(name, use).endswith(agreement)
    tfidf = f"; build the features again with: autoassist-tfidf {arguments} --force"
    assert damaged("block0.data", stored.open).endswith(tfidf)
    np.full(ROWS * len(STATISTICS), BINS, np.uint8).tofile(folder / CODES_NAME)
    with pytest.raises(FeatureError, match="damaged: found bin 4, expected 0 to 3") as error:
        stored.open().gather(np.arange(3))
    assert str(error.value).endswith(agreement)


def test_all_data_bins_are_hashed_once_until_they_change(
    two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Open them again in the next epoch without a hash, and notice what has changed by then."""
    data = ":".join(map(str, two))
    assert build_features([data, "--no-progress"]) == 0
    _, folder = [write_agreement(*one) for one in zip(two, (PRIOR, PRIOR[::-1]))]

    def open_all(epoch: int) -> None:
        open_features(cfg(data), epoch, opened(data, epoch).codes)

    open_all(1)
    with monkeypatch.context() as patched:
        for module in (fingerprint, prior_module):
            patched.setattr(module, "hashlib", None)
        open_all(2)
        open_all(3)
    PRIOR.tofile(folder / "prior")
    with pytest.raises(FeatureError, match="prior is damaged: found sha256"):
        open_all(4)
    write_agreement(two[1], PRIOR)
    for data_bin in two:
        with open(data_bin / "dict.de.txt", "a", encoding="utf-8") as file:
            file.write("new 1\n")
    with pytest.raises(FeatureError, match="other data than is loaded .source dictionary: found"):
        open_all(4)
