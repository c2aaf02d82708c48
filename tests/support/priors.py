"""Made-up output of `autoassist-agreement` for a data-bin."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fairseq_autoassist.features.agreement.files import AGREEMENT_NAME, CODES_NAME, PRIOR_NAME
from fairseq_autoassist.features.commands import feature_folder
from fairseq_autoassist.text.corpus import infer_languages, open_shard

STATISTICS, BINS = ("gain", "copies", "ratio"), 4


def codes_of(prior: np.ndarray) -> np.ndarray:
    """Bins of statistics; the first one follows the prior: uint8 (pairs, 3)."""
    ids = np.arange(len(prior))
    first = np.minimum(prior * BINS, BINS - 1)
    return np.stack([first, ids % BINS, ids % 2], axis=1).astype(np.uint8)


def write_agreement(
    data_bin: Path,
    prior: np.ndarray,
    statistics: tuple[str, ...] = STATISTICS,
    folder: Path | None = None,
) -> Path:
    """Write all three files; returns the folder that they lie in.

    Args:
        data_bin: of the pairs
        prior: (pairs,)
        statistics: names, at most those of `STATISTICS`
        folder: None: that of the features inside the data-bin
    """
    languages = infer_languages(data_bin, "train")
    folder = folder or feature_folder(data_bin, "train", *languages)
    folder.mkdir(parents=True, exist_ok=True)
    values = prior.astype("<f4")
    values.tofile(folder / PRIOR_NAME)
    codes = codes_of(values)[:, : len(statistics)].tobytes()
    (folder / CODES_NAME).write_bytes(codes)
    files = open_shard(data_bin, data_bin, "train", *languages)
    told = {
        "fingerprint": asdict(files.fingerprint()),
        "tokens": files.token_hashes(),
        "prior_sha256": hashlib.sha256(values.tobytes()).hexdigest(),
        "bins_sha256": hashlib.sha256(codes).hexdigest(),
        "statistics": list(statistics),
        "bins": BINS,
        "pairs": len(values),
        "mean_prior": float(values.mean()),
    }
    (folder / AGREEMENT_NAME).write_text(json.dumps(told), encoding="utf-8")
    return folder
