"""Choice of the rows to train on, and the data-bin written from them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.core.trace import TRAINED
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.text.binarized import BinarizedSide
from preprocess.text import UserError
from recipes.compare.filtered_data import chosen, corpus_rows, training_data, write_data_bin
from recipes.compare.languages import languages_of
from recipes.compare.matrices import run_of
from recipes.compare.one_run import settings_key
from recipes.compare.trained_on import Kept, load_pairs
from tests.support import compare
from tests.support.priors import write_agreement

ORACLE, FILTER = (run_of(f"multi30k.tiny.{arm}.b100.s1") for arm in ("oracle", "hard-filter"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Copy of the tiny corpus in which every third pair is labelled okay and has a higher prior."""
    folder = tmp_path / "multi30k"
    shutil.copytree(compare.corpora() / "multi30k", folder)
    pairs = len(load_pairs(folder / "data-bin").target)
    okay = np.arange(pairs) % 3 == 1
    labels = "".join("okay\n" if each else "copy\n" for each in okay)
    (folder / "labels.txt").write_text(labels, encoding="utf-8")
    beside = write_agreement(folder / "data-bin", np.where(okay, 0.26, 0.24))
    about = json.loads((beside / "agreement.json").read_text())
    (beside / "agreement.json").write_text(json.dumps({**about, "power": 2}))
    return folder


def test_fairseq_reads_the_rows_that_were_written(corpus: Path, tmp_path: Path) -> None:
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    rows = np.array([0, 3, 4, 590])
    rows = rows[rows < len(load_pairs(corpus / "data-bin").target)]
    write_data_bin(corpus, rows, tmp_path / "made")
    assert languages_of(tmp_path / "made") == ("en", "de")
    for lang in ("en", "de"):
        whole, part = (
            MMapIndexedDataset(str(folder / f"train.en-de.{lang}"))
            for folder in (corpus / "data-bin", tmp_path / "made")
        )
        assert [row.tolist() for row in part] == [whole[int(number)].tolist() for number in rows]
        assert part.sizes.tolist() == [len(row) for row in part]
    for path in (corpus / "data-bin").glob("*.*"):
        if not path.name.startswith("train"):
            assert (tmp_path / "made" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("run", [ORACLE, FILTER])
def test_rows_are_chosen_by_label_or_posterior(corpus: Path, tmp_path: Path, run) -> None:
    made = training_data(run, corpus, tmp_path)
    rows = corpus_rows(tmp_path)
    assert rows is not None and rows.tolist() == list(range(1, 3 * len(rows), 3))
    assert len(BinarizedSide(made / "train.en-de.de").sizes) == len(rows)
    trace = np.array([(1, 0, 0), (1, 0, 2)], TRAINED)
    kept = Kept(trace, load_pairs(corpus / "data-bin"), rows)
    assert np.flatnonzero(kept.counts()).tolist() == [1, 7], "expected ids of the whole corpus"
    labels = kept.labels(corpus / "labels.txt", 1.0)
    assert (labels["okay"]["trained"], labels["copy"]["trained"]) == (2, 0)


def test_other_arms_train_on_the_corpus_itself(corpus: Path, tmp_path: Path) -> None:
    plain = run_of("multi30k.tiny.uniform.b100.s1")
    assert training_data(plain, corpus, tmp_path) == corpus / "data-bin"
    assert corpus_rows(tmp_path) is None


def test_a_changed_prior_or_label_changes_the_key_of_the_runs_that_read_it(corpus: Path) -> None:
    names = ("uniform", "band", "prior", "default", "hard-filter", "oracle")
    runs = {name: run_of(f"multi30k.tiny.{name}.b100.s1") for name in names}
    first = {name: settings_key(run, corpus) for name, run in runs.items()}
    prior = feature_folder(corpus / "data-bin", "train", "en", "de") / "prior"
    prior.write_bytes(prior.read_bytes()[::-1])
    second = {name: settings_key(run, corpus) for name, run in runs.items()}
    changed = {name for name in names if first[name] != second[name]}
    assert changed == {"prior", "default", "hard-filter"}
    labels = corpus / "labels.txt"
    labels.write_text(labels.read_text().replace("copy", "okay", 1))
    third = {name: settings_key(run, corpus) for name, run in runs.items()}
    assert {name for name in names if second[name] != third[name]} == {"oracle"}


def test_missing_labels_and_a_missing_prior_are_refused(corpus: Path) -> None:
    (corpus / "labels.txt").unlink()
    with pytest.raises(UserError, match="found no .*labels.txt; expected a label"):
        settings_key(ORACLE, corpus)
    (feature_folder(corpus / "data-bin", "train", "en", "de") / "agreement.json").unlink()
    with pytest.raises(UserError, match="found no agreement.json in .*recipes.compare.prepare"):
        settings_key(FILTER, corpus)


def test_a_choice_without_any_pair_is_refused(corpus: Path) -> None:
    labels = corpus / "labels.txt"
    labels.write_text(labels.read_text().replace("okay", "copy"))
    with pytest.raises(UserError, match="found no pair of .* that is okay"):
        chosen("okay", corpus)
