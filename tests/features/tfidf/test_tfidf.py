"""TF-IDF features equal scikit-learn's on fairseq's own data, and appear whole or not at all."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer

from fairseq_autoassist.cli.tfidf import main
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.features.store import Features
from fairseq_autoassist.features.tfidf import weighing
from fairseq_autoassist.features.tfidf.build import build_features
from fairseq_autoassist.text.binarized import BinarizedSide, dictionary_size
from fairseq_autoassist.text.fingerprint import fingerprint
from tests.support.corpus import multi30k_pairs, preprocess, write_data_bin, write_text

ODD_PAIRS = [
    ("", "leer ."),
    ("a a a a dog", "\u00fc  \u00fc\u3000\u00fc"),
    ("\u2028x", ""),
    ("", ""),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Data-bins of real text, made once: two shards with rare words unknown, and one
    with a joined dictionary."""
    root = tmp_path_factory.mktemp("made")
    pairs = {"a": multi30k_pairs("train", 500) + ODD_PAIRS, "b": multi30k_pairs("val", 200)}
    for name, some in pairs.items():
        write_text(root / f"text.{name}", some)
    train_a = ["--trainpref", root / "text.a", "--destdir"]
    dicts = ["--srcdict", root / "a" / "dict.en.txt", "--tgtdict", root / "a" / "dict.de.txt"]
    preprocess(
        [
            [*train_a, root / "a", "--thresholdsrc", 2, "--thresholdtgt", 2],
            ["--trainpref", root / "text.b", "--destdir", root / "b", *dicts],
            [*train_a, root / "joined", "--joined-dictionary"],
        ]
    )
    return SimpleNamespace(root=root, pairs=pairs)


@pytest.fixture
def bins(made: SimpleNamespace, tmp_path: Path) -> SimpleNamespace:
    """Copy of the data-bins that a test may break."""
    for name in ("a", "b", "joined"):
        shutil.copytree(made.root / name, tmp_path / name)
    return SimpleNamespace(root=tmp_path, pairs=made.pairs, a=tmp_path / "a", b=tmp_path / "b")


def dictionary(path: Path) -> list:
    """Words of a dictionary file in the order of their ids, from id 4 on."""
    return [line.rsplit(" ", 1)[0] for line in path.read_text("utf-8").split("\n")[:-1]]


def expected(folder: Path, train: list, rows: list) -> np.ndarray:
    """Dense features of ``rows`` by TfidfVectorizer fitted on ``train``, with our columns."""
    blocks = []
    for side, lang in enumerate(("en", "de")):
        words = dictionary(folder / f"dict.{lang}.txt")
        vocabulary = {w: i for i, w in enumerate(words)}
        vectorizer = TfidfVectorizer(analyzer=str.split, lowercase=False, vocabulary=vocabulary)
        vectorizer.fit([pair[side] for pair in train])
        block = vectorizer.transform([pair[side] for pair in rows]).toarray()
        blocks += [np.zeros((len(rows), 4)), block]  # columns of special symbols are empty
    return np.hstack(blocks)


def rows_of(folder: Path) -> np.ndarray:
    """All features of a data-bin, dense."""
    features = Features.open(feature_folder(folder, "train", "en", "de"))
    return features.gather(np.arange(features.rows)).matrix.toarray()


def leftovers(root: Path) -> list:
    """Everything below any ``autoassist`` folder that is not whole features."""
    return [p for p in root.rglob("autoassist/*") if not (p / "manifest.json").exists()]


@pytest.mark.parametrize("name", ["a", "joined"])
def test_features_equal_tfidf_vectorizer(bins: SimpleNamespace, name: str) -> None:
    folder = bins.root / name
    assert main([str(folder)]) == 0
    train = bins.pairs["a"]
    wanted = expected(folder, train, train)
    found = rows_of(folder)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(found != 0, wanted != 0)
    # Rare words became unknown, so the test covers special symbols.
    assert (np.fromfile(bins.a / "train.en-de.en.bin", "<u2") == 3).sum() > 100


def test_the_order_in_which_scikit_learn_gives_entries_back_does_not_matter(
    bins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before version 1.4 the columns of a row came back from the last to the first."""

    class Reversing(TfidfTransformer):
        def transform(self, X: sp.csr_matrix, copy: bool = True) -> sp.csr_matrix:
            found = sp.csr_matrix(super().transform(X, copy=True))
            ends = np.repeat(found.indptr[:-1] + found.indptr[1:] - 1, np.diff(found.indptr))
            order = ends - np.arange(found.nnz)
            arrays = (found.data[order], found.indices[order], found.indptr)
            return sp.csr_matrix(arrays, shape=found.shape)

    monkeypatch.setattr(weighing, "TfidfTransformer", Reversing)
    build_features(str(bins.a), progress=False)
    pairs = bins.pairs["a"]
    wanted = expected(bins.a, pairs, pairs)
    np.testing.assert_allclose(rows_of(bins.a), wanted, rtol=1e-5, atol=1e-7)


def test_shards_share_one_idf(bins: SimpleNamespace) -> None:
    assert main([f"{bins.a}:{bins.b}"]) == 0
    both = bins.pairs["a"] + bins.pairs["b"]
    for folder, name in ((bins.a, "a"), (bins.b, "b")):
        wanted = expected(bins.a, both, bins.pairs[name])
        np.testing.assert_allclose(rows_of(folder), wanted, rtol=1e-5, atol=1e-7)
    first, second = (
        Features.open(feature_folder(f, "train", "en", "de")).manifest for f in (bins.a, bins.b)
    )
    assert first.provenance["idf"] == second.provenance["idf"]
    assert first.fingerprint.source_dict == second.fingerprint.source_dict


def test_chunks_and_blocks_change_nothing(bins: SimpleNamespace) -> None:
    results = []
    for chunk, block in ((1, 2**31 - 1), (97, 100), (10**6, 2**31 - 1)):
        build_features(
            str(bins.a), chunk_tokens=chunk, block_nonzeros=block, force=True, progress=False
        )
        results.append(rows_of(bins.a))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert len(results[0]) == len(bins.pairs["a"])


def test_the_reader_reads_what_fairseq_reads(bins: SimpleNamespace) -> None:
    from fairseq.data import Dictionary, indexed_dataset

    for lang in ("en", "de"):
        prefix = str(bins.a / f"train.en-de.{lang}")
        theirs = indexed_dataset.MMapIndexedDataset(prefix)
        ours = BinarizedSide(prefix)
        np.testing.assert_array_equal(ours.sizes, np.array(theirs.sizes))
        tokens, offsets = ours.read(3, len(theirs))
        for row in (3, 100, len(theirs) - 1):
            sentence = tokens[offsets[row - 3] : offsets[row - 2]]
            assert sentence.tolist() == theirs[row].tolist()
        path = bins.a / f"dict.{lang}.txt"
        assert dictionary_size(path) == len(Dictionary.load(str(path)))
    sides = [BinarizedSide(bins.a / f"train.en-de.{lang}").sizes for lang in ("en", "de")]
    assert main([str(bins.a)]) == 0
    dicts = (bins.a / "dict.en.txt", bins.a / "dict.de.txt")
    as_int64 = [np.array(sizes, dtype=np.int64) for sizes in sides]
    Features.open(feature_folder(bins.a, "train", "en", "de")).check(fingerprint(*dicts, *as_int64))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a 1\n",
        "a 1\nb 2",
        "a\u2028b 1\nc d 2\n",
        "a 1\na 2 #fairseq:overwrite\n",
        "a 1\r\nb 2\r\n",
    ],
)
def test_dictionary_size_is_fairseqs(tmp_path: Path, text: str) -> None:
    from fairseq.data import Dictionary

    path = tmp_path / "dict.txt"
    path.write_bytes(text.encode())
    assert dictionary_size(path) == len(Dictionary.load(str(path)))


def test_current_features_are_kept(bins: SimpleNamespace, capsys: pytest.CaptureFixture) -> None:
    def run(*arguments: object) -> bool:
        """Whether the run found everything up to date."""
        assert main([str(word) for word in arguments]) == 0
        return "up to date" in capsys.readouterr().out

    assert [run(bins.a), run(bins.a), run(bins.a, "--force")] == [False, True, False]
    manifest = feature_folder(bins.a, "train", "en", "de") / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"sublinear_tf": false', '"sublinear_tf": true'))
    assert manifest.read_text() != text
    assert [run(bins.a), run(bins.a)] == [False, True]  # an older version had such settings
    path = bins.a / "train.en-de.en.bin"
    tokens = np.fromfile(path, "<u2")
    tokens[0] = 5 if tokens[0] != 5 else 6  # another word, the same sizes
    tokens.tofile(path)
    assert [run(bins.a), run(bins.a)] == [False, True]
    shards = f"{bins.a}:{bins.b}"  # one shard alone has another idf than both together
    assert [run(shards), run(shards), run(bins.a), run(shards)] == [False, True, False, False]
    (feature_folder(bins.a, "train", "en", "de") / "block0.data").write_bytes(b"")
    assert [run(shards), run(shards)] == [False, True]
    assert not leftovers(bins.root)


def test_other_languages_subsets_and_folders_are_built(
    bins: SimpleNamespace, capsys: pytest.CaptureFixture
) -> None:
    for name in ("train.en-de.en", "train.en-de.de"):
        for end in ("idx", "bin"):
            (bins.a / f"{name}.{end}").rename(bins.a / f"{name.replace('train', 'mine')}.{end}")
    dest = bins.root / "elsewhere"
    # German to English out of en-de files, as fairseq allows.
    assert (
        main([str(bins.a), "-s", "de", "-t", "en", "--train-subset", "mine", "--dest", str(dest)])
        == 0
    )
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "504 pairs" in out and "pairs/s" in out
    features = Features.open(feature_folder(bins.a, "mine", "de", "en", root=str(dest)))
    assert features.manifest.source_dimensions == dictionary_size(bins.a / "dict.de.txt")
    assert not (bins.a / "autoassist").exists()


def test_memory_is_bounded_by_the_chunk(tmp_path: Path) -> None:
    peaks = []
    for rows in (10_000, 80_000):
        folder = write_data_bin(tmp_path / str(rows), rows, vocabulary=1000)
        build_features(str(folder), progress=False)  # imports and caches are not what is measured
        tracemalloc.start()
        build_features(str(folder), chunk_tokens=50_000, force=True, progress=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]  # of a corpus eight times as large
    assert peaks[1] < 3_000_000  # its tokens alone are 9 MB, its features 30 MB


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_nothing_half_written_stays(
    bins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, error: type
) -> None:
    def fail(*arguments: object) -> None:
        assert leftovers(bins.root)  # the build was under way
        raise error

    monkeypatch.setattr("fairseq_autoassist.features.tfidf.build.inverse_document_frequency", fail)
    with pytest.raises(error):
        build_features(f"{bins.a}:{bins.b}", progress=False)
    assert not list(bins.root.rglob("autoassist/*"))
