"""Report on a corpus: numbers, a table, a picture, and example pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import numpy as np

from ...text.corpus import Shard
from .passes import Verdict
from .reading import read_pairs, side_paths
from .statistics import Vocabulary, read_vocabulary
from .twogroups import EDGES, GRID, TwoGroups
from .writing import PICTURE_NAME

TENTHS = np.linspace(0, 1, 11)


def told_of(
    verdicts: Sequence[Verdict], groups: TwoGroups | None, languages: tuple[str, str]
) -> dict[str, Any]:
    """Make the part of agreement.json about all pairs; ``groups`` is None for too few pairs."""
    prior = np.concatenate([verdict.prior for verdict in verdicts])
    wrong = np.concatenate([verdict.wrong for verdict in verdicts], axis=1)
    copies = sum(int(verdict.copies.sum()) for verdict in verdicts)
    return {
        "pairs": len(prior),
        "enough_pairs": groups is not None,
        "null_share": 0.0 if groups is None else groups.null_share,
        "copies": copies,
        "wrong_language": {name: int(side.sum()) for name, side in zip(languages, wrong)},
        "mean_prior": float(prior.mean(dtype=np.float64)),
        "deciles": [float(value) for value in np.quantile(prior, TENTHS)],
    }


def table(prior: np.ndarray, low: np.ndarray) -> str:
    """Make a table with a line for every tenth of the pairs, from the worst to the best.

    Args:
        prior: float32 (n,)
        low: lower information of both directions, nats per piece, float32 (n,)
    """
    order = np.argsort(prior, kind="stable")
    lines = [f"{'pairs':>12} {'prior from':>11} {'to':>7} {'mean':>7} {'information':>12}"]
    for number, part in enumerate(np.array_split(order, 10)):
        if not len(part):
            continue
        values = prior[part]
        lines.append(
            f"{10 * number:>4} to {10 * number + 10:>3}% {values.min():>11.3f} "
            f"{values.max():>7.3f} {values.mean():>7.3f} {np.median(low[part]):>12.2f}"
        )
    return "\n".join(lines)


def histogram(low: np.ndarray, groups: TwoGroups | None, folder: Path) -> Path:
    """Draw the information of all pairs with the fitted groups; returns the PNG in ``folder``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    inside = np.clip(low, EDGES[0], EDGES[-1] - 1e-6)
    axes.hist(inside, list(EDGES[::4]), density=True, color="0.8", label="pairs")
    if groups is not None:
        junk, good = _densities(groups)
        axes.plot(GRID, junk, color="tab:red", label=f"junk, {groups.null_share:.1%}")
        axes.plot(GRID, good, color="tab:blue", label="translations")
    axes.set_xlabel("information per piece, the lower direction (nats)")
    axes.set_ylabel("density")
    axes.set_xlim(-2.5, max(3.0, float(np.quantile(inside, 0.999))))
    axes.legend(frameon=False)
    path = folder / PICTURE_NAME
    figure.savefig(path, dpi=120)
    return path


def _densities(groups: TwoGroups) -> tuple[np.ndarray, np.ndarray]:
    """Densities pi0 f0 and (1 - pi0) f1 at `GRID`, over all ranges of length."""
    junk, good = np.zeros(len(GRID)), np.zeros(len(GRID))
    total = max(sum(groups.weights), 1e-9)
    for fit, weight in zip(groups.fits, groups.weights):
        junk += weight / total * fit.null_share * fit.null
        for part, mean, spread in fit.groups.T:
            density = np.exp(-0.5 * ((GRID - mean) / spread) ** 2) / spread / np.sqrt(2 * np.pi)
            good += weight / total * (1.0 - fit.null_share) * part * density
    return junk, good


def examples(prior: np.ndarray, low: np.ndarray, shards: Sequence[Shard], count: int) -> str:
    """Print the best, the worst and the most doubtful pairs into a text.

    Args:
        prior, low: of all pairs, shard after shard
        shards: of these pairs
        count: number of pairs of each kind
    """
    vocabulary = read_vocabulary(shards[0].source_dict, shards[0].target_dict)
    order = np.lexsort((low, prior))
    doubt = np.argsort(np.abs(prior - 0.25), kind="stable")  # a posterior of a half, squared
    kinds = {"best": order[::-1][:count], "worst": order[:count], "doubtful": doubt[:count]}
    lines = []
    for name, ids in kinds.items():
        for number in ids:
            texts = _text(int(number), shards, vocabulary)
            lines.append(f"{name:<9}{prior[number]:6.3f}{low[number]:7.2f}  " + " ||| ".join(texts))
    return "\n".join(lines)


def _text(number: int, shards: Sequence[Shard], vocabulary: Vocabulary) -> list[str]:
    for shard in shards:
        if number < shard.rows:
            break
        number -= shard.rows
    sizes = len(vocabulary.joint[0]), len(vocabulary.joint[1])
    pairs = read_pairs(side_paths(shard), number, number + 1, sizes)
    words = [[vocabulary.words[n][piece] for piece in pairs.side(n).pieces] for n in (0, 1)]
    return [_joined(some) for some in words]


def _joined(pieces: list[str]) -> str:
    """Join SentencePiece's pieces to text; other pieces are words."""
    if any(piece.startswith("\u2581") for piece in pieces):
        return "".join(pieces).replace("\u2581", " ").strip()
    return " ".join(pieces)
