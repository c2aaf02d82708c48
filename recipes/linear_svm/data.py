"""Data sets as problems: originals if they can be downloaded, else stand-ins named as such."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_svmlight_file
from sklearn.feature_extraction.text import TfidfVectorizer

from recipes.common.data import Corpus, find, local_folder
from recipes.linear_svm import originals
from recipes.linear_svm.problem import Problem, as_problem

LAMBDA = 1e-3  # of every data set
POSITIVE = ("comp.", "sci.", "misc.forsale")  # groups of 20news with label +1

STAND_INS = Corpus(
    name="svm",
    url="",
    sha256={
        "reuters21578-corporate.train.svm.gz": (
            "974c73e21ce9581164be4d05abff060ae2a0865f626b941d796cb39ec9e0105d"
        ),
        "20news-bydate.train.svm.gz": (
            "c2d4b6b8d76e9f56746577c6ce910557c91c49b970cc38eab6bfa4f087e53e25"
        ),
        "20news-bydate.train.jsonl.gz": (
            "2c3c54cf15ae4bf7b2180e7815e5db8084b3249b16ee20a698da5fb44f9ebecd"
        ),
        "w8a.svm.gz": "02ef898ad4e2fc3a9dce0c043ef8e6048117288b2bcbd098fe9c3317aeb2a4d0",
        "ijcnn1.train.svm.gz": "d992376ea85806fcb2eba1804aa492e3364f8d809bfa88c39bddefd639e40369",
    },
)

# file of a stand-in -> its title on figures
TITLES = {
    "reuters21578-corporate.train.svm.gz": "Reuters-21578 (stand-in for rcv1)",
    "20news-bydate.train.svm.gz": "20news-bydate (stand-in for news20)",
    "20news-bydate.train.jsonl.gz": "20news-bydate, bigrams (stand-in for news20)",
    "w8a.svm.gz": "w8a (stand-in)",
    "ijcnn1.train.svm.gz": "ijcnn1 (stand-in)",
}
REPLACES = {
    "rcv1": ("reuters",),
    "news20": ("20news",),
}  # prefix of the names of an original's stand-ins


def read_svmlight(path: Path) -> tuple[Any, np.ndarray]:
    """Return the CSR matrix, shape (n, d), and the labels of a gzipped LIBSVM file."""
    with gzip.open(path) as stream:
        return load_svmlight_file(stream)


def read_bigrams(path: Path) -> tuple[Any, np.ndarray]:
    """Return all unigrams and bigrams as (1 + log tf) idf, in rows of unit norm, and the labels."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream]
    x = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(
        line["text"] for line in lines
    )
    return x, np.array([1.0 if line["group"].startswith(POSITIVE) else -1.0 for line in lines])


def problems(downloads: Path, online: bool = True) -> list[Problem]:
    """Return all problems: rcv1 or its stand-in first.

    Args:
        downloads: folder of the originals
        online: try to download the originals

    Raises:
        UserError: neither an original nor its stand-in is found
    """
    found, left = [], set(STAND_INS.sha256)
    for name, prefixes in REPLACES.items():
        path = originals.fetch(name, downloads) if online else None
        if path is not None:
            found.append(as_problem(name, *originals.read(name, path), LAMBDA))
            left -= {file for file in left if file.startswith(prefixes)}
    if not found or local_folder(STAND_INS) is not None:
        paths = find(STAND_INS, downloads)
        for file, title in TITLES.items():
            if file in left:
                read = read_bigrams if file.endswith(".jsonl.gz") else read_svmlight
                found.append(as_problem(title, *read(paths[file]), LAMBDA))
    return found
