"""How many times likelier each training pair is among validation pairs than among training pairs.

A logistic regression on the TF-IDF features tells the two apart. Trained with both classes weighing
the same, its odds are p(x | validation) / p(x | training). How strongly it is regularised is chosen
by the log loss on pairs it was not trained on; where the sets cannot be told apart that is very
strongly, and all ratios are about 1. The training pairs that it learned from come out a little
lower than others: on 200,000 pairs of documentation a relevance of 0.256 against 0.266 on average.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from ..core.features import Features
from ..errors import FeatureError
from .corpus import Part, Shard
from .counting import PairCounter
from .weighing import inverse_document_frequency

STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # scikit-learn's C, the inverse of the regularisation
FOLDS = 5
TRAINING_PAIRS = 10  # drawn for each validation pair
LEAST_PAIRS = 20  # of a validation set: four to a fold; the AUC tells what they are good for
SEED = 20190
CHUNK = 16384  # pairs scored at once
LEAST_LOG = -80.0  # float32 holds its exponential


class Fit(NamedTuple):
    """The regression, and how well it tells pairs apart that it has not seen.

    Attributes:
        weights: float32 (dimensions,); ``psi @ weights`` is the logarithm of the density ratio, up
            to a constant
        auc: chance that a validation pair scores above a training pair
        log_loss: with both classes weighing the same, nats; ln 2 is chance
        strength: scikit-learn's C that was chosen
    """

    weights: np.ndarray
    auc: float
    log_loss: float
    strength: float


def document_frequency(features: Sequence[Features]) -> tuple[np.ndarray, int]:
    """How many pairs hold each token, int64 (dimensions,), and the number of pairs, over shards."""
    counts = np.zeros(features[0].dimensions, dtype=np.int64)
    for one in features:
        for start in range(0, one.rows, CHUNK):
            rows = one.gather(np.arange(start, min(start + CHUNK, one.rows)))
            counts += np.bincount(rows.indices, minlength=len(counts))
    return counts, sum(one.rows for one in features)


def validation_rows(shard: Shard, features: Sequence[Features]) -> sp.csr_array:
    """TF-IDF rows of a validation set with the document frequencies of the training data: CSR
    float32 (pairs, dimensions).

    Raises:
        FeatureError: too few pairs, of either kind; or ``features`` are not all of the shards built
            together
    """
    if shard.rows < LEAST_PAIRS:
        raise FeatureError(
            f"found {shard.rows} validation pairs in {shard.data_bin}, expected at least "
            f"{LEAST_PAIRS} to learn from: name a larger subset with --valid-subset"
        )
    manifest = features[0].manifest
    if sum(one.rows for one in features) < FOLDS:
        raise FeatureError(
            f"found {sum(one.rows for one in features)} training pairs in {features[0].folder}, "
            f"expected at least {FOLDS} to hold the validation pairs against: name a larger subset "
            "with --train-subset"
        )
    frequencies, documents = document_frequency(features)
    if documents != manifest.provenance.get("documents"):
        raise FeatureError(
            f"found features of {documents} pairs, expected the "
            f"{manifest.provenance.get('documents')} that were built together: name all data-bins, "
            f"a:b, as for autoassist-tfidf"
        )
    cut = manifest.source_dimensions
    dimensions = (cut, manifest.dimensions - cut)
    prefixes = (shard.source.prefix, shard.target.prefix)
    part = Part(*prefixes, dimensions, 0, shard.rows, shard.data_bin, 0, 0)
    counts, _ = PairCounter(part).count(0, shard.rows)
    idf = inverse_document_frequency(frequencies, documents, manifest.settings["smooth_idf"])
    sides = []
    for columns in (slice(0, cut), slice(cut, None)):  # two documents, each with its own norm
        transformer = TfidfTransformer(**manifest.settings)
        transformer.idf_ = idf[columns]
        # a matrix: to scikit-learn before 1.4 the * of an array is not a product of matrices
        sides.append(transformer.transform(sp.csr_matrix(counts[:, columns])))
    return sp.csr_array(sp.hstack(sides, format="csr"), dtype=np.float32)


def fit(validation: sp.csr_array, features: Sequence[Features]) -> Fit:
    """Tell validation pairs from training pairs.

    Folds are runs of neighbouring pairs: those of one document do not stand on both sides.

    Args:
        validation: CSR (pairs, dimensions)
        features: of the training data, shard by shard
    """
    drawn = [one.gather(ids) for one, ids in zip(features, _draw(validation.shape[0], features))]
    rows = sp.csr_matrix(sp.vstack([validation, *drawn], format="csr"))
    positive = np.zeros(rows.shape[0], dtype=bool)
    positive[: validation.shape[0]] = True
    weight = np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum())
    tried = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
        held_out = cross_val_predict(
            model, rows, positive, cv=StratifiedKFold(FOLDS), method="predict_proba"
        )[:, 1]
        loss = log_loss(positive, held_out, sample_weight=weight)
        tried.append((loss, strength, roc_auc_score(positive, held_out), model))
    loss, strength, auc, model = min(tried, key=lambda found: found[:2])
    model.fit(rows, positive)
    return Fit(model.coef_[0].astype(np.float32), float(auc), float(loss), strength)


def _draw(pairs: int, features: Sequence[Features]) -> list[np.ndarray]:
    """Ids of training pairs of each shard, ascending, without repetition."""
    ends = np.cumsum([one.rows for one in features])
    count = min(TRAINING_PAIRS * pairs, int(ends[-1]))
    rng = np.random.Generator(np.random.Philox(key=SEED))
    drawn = np.sort(rng.choice(int(ends[-1]), count, replace=False))
    parts = np.split(drawn, np.searchsorted(drawn, ends[:-1]))
    return [part - (end - one.rows) for part, end, one in zip(parts, ends, features)]


def relevances(fitted: Fit, features: Sequence[Features], share: float) -> list[np.ndarray]:
    """min(1, w / c) of each training pair, float32 (pairs,) in (0, 1], shard by shard.

    w is its density ratio, and c such that this share of the pairs of all shards has a relevance
    of 1.
    """
    scores = [_scores(fitted, one) for one in features]
    top = float(np.quantile(np.concatenate(scores), 1.0 - share))
    return [np.exp(np.clip(score - top, LEAST_LOG, 0.0)) for score in scores]


def _scores(fitted: Fit, features: Features) -> np.ndarray:
    """ln w of each pair, up to a constant: float32 (pairs,)."""
    found = np.empty(features.rows, dtype=np.float32)
    for start in range(0, features.rows, CHUNK):
        stop = min(start + CHUNK, features.rows)
        found[start:stop] = features.scores(np.arange(start, stop), fitted.weights)
    return found
