"""Two groups: the share of junk in a corpus, and the probability of each pair to be none.

The two-groups model is from Efron 2004, "Large-scale simultaneous hypothesis testing: the choice of
a null hypothesis". The lower information of the pairs has the density f = pi0 f0 + (1 - pi0) f1.
The local false discovery rate pi0 f0 / f is the probability of a pair to be junk. f0 is learned
from pairs made of the corpus (`nulls`). Some of these are translations by accident, so their
density is (1 - c) f0 + c f1. Both are fitted together by EM.

f0 is a normal density with a spread of its own on either side. Among the observed pairs it may be
shifted by up to SHIFT spreads against the made ones (an empirical null). A whole spread would take
free translations of short sentences for junk: 2.2% of clean Tatoeba. f1 is a mixture of normal
densities, each at least GAP spreads above f0. So a clean corpus has a share of junk of about 0.

Of one or two pieces the lexicon often rules out all. Such pairs crowd at the least information that
there is, so f0 has a second part there. Without it the normal density would shrink around them, and
f1 would take all other junk.

All this is about text. Names (`language`) are fitted apart. Two different names of a page often
have more in common than a sentence and its translation, so their f0 has several modes. It is the
smoothed histogram of the made pairs. The means of f1 are at least the mean of f1 of text, and at
least the 0.9 quantile of f0.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, NamedTuple, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import logsumexp
from sklearn.isotonic import isotonic_regression

from .lexicon import LEAST

GAP = 2.0
SHIFT = 0.5
_ITERATIONS = 300
_RANGE, _CELLS = (-3.0, 9.0), 480  # of the histograms, nats per piece
_NULL_SPREADS = (0.1, 1.2)
_SPREADS = (0.25, 2.5)
_PAIRS_PER_BIN, _BINS = 4000, 8
_MOST_ACCIDENTS = 0.6
_RULED_OUT = 0.1  # nats, spread of the part of f0 at the least information
LEAST_PAIRS = 200  # summed weights; less of text or names, observed or made, joins the others
_UNIFORM = 0.005  # share of a uniform density in f0 of names, where no made pair may lie
_SMOOTHING = 6.0  # cells, of the histogram of made names
_TINY = 1e-9
_ROOT = float(np.sqrt(2 * np.pi))  # the constant that log densities leave out


class Fit(NamedTuple):
    """Fitted model of pairs of similar length.

    Attributes:
        null_share: pi0, in [0, 1]
        null: f0 at `GRID`, a density per nat, float64 (cells,)
        groups: weight, mean and spread of each part of f1, float64 (3, 2)
        posterior: probability of no junk at `GRID`, non-decreasing, float64 (cells,)
    """

    null_share: float
    null: np.ndarray
    groups: np.ndarray
    posterior: np.ndarray


EDGES = np.linspace(*_RANGE, _CELLS + 1)
GRID = (EDGES[1:] + EDGES[:-1]) / 2
_LEAST_CELL = LEAST - (EDGES[1] - EDGES[0])  # the least information lies above this


class TwoGroups(NamedTuple):
    """Fits of all ranges of lengths.

    Attributes:
        edges: shortest length of each range but the first, of text and of names, int64
        fits: one for each range of text, then one for each range of names
        weights: summed weights of the pairs of each range
    """

    edges: tuple[np.ndarray, np.ndarray]
    fits: Sequence[Fit]
    weights: Sequence[float]

    @property
    def null_share(self) -> float:
        """Share pi0 of all pairs."""
        total = max(sum(self.weights), _TINY)
        return sum(fit.null_share * w for fit, w in zip(self.fits, self.weights)) / total

    def posterior(self, gains: np.ndarray, lengths: np.ndarray, names: np.ndarray) -> np.ndarray:
        """Compute the probability that each pair is no junk, float64 (n,).

        Args:
            gains: lower information of both directions, nats per piece (n,)
            lengths: pieces of the shorter side (n,)
            names: bool (n,), whether the pair is one of names
        """
        text, named = (np.searchsorted(edges, lengths, side="right") for edges in self.edges)
        ranges = np.where(names, len(self.edges[0]) + 1 + named, text)
        found = np.empty(len(gains))
        for number, fit in enumerate(self.fits):
            mine = ranges == number
            found[mine] = np.interp(gains[mine], GRID, fit.posterior)
        return found


def fit(
    gains: tuple[np.ndarray, np.ndarray],
    lengths: tuple[np.ndarray, np.ndarray],
    weights: tuple[np.ndarray, np.ndarray],
    names: np.ndarray,
) -> TwoGroups:
    """Fit each range of lengths of text and of names.

    Args:
        gains: lower information of the observed and of the made pairs, nats per piece
        lengths: pieces of their shorter sides
        weights: in [0, 1]
        names: bool (n,), whether a pair, and the one made of it, is one of names
    """
    told = gains, lengths, weights
    sums = [w[kind].sum() for w in weights for kind in (names, ~names)]
    if min(sums) < LEAST_PAIRS:
        edges, fits, totals = _fit_ranges(_fit, *told)
        return TwoGroups((edges, edges), 2 * fits, totals + [0.0] * len(totals))
    text, named = (
        [tuple(one[names == kind] for one in two) for two in told] for kind in (False, True)
    )
    edges, fits, totals = _fit_ranges(_fit, *text)
    least = _mean_information(fits, totals)
    name_edges, name_fits, name_totals = _fit_ranges(partial(_fit_names, least=least), *named)
    return TwoGroups((edges, name_edges), fits + name_fits, totals + name_totals)


def _fit_ranges(
    fitted: Callable[[np.ndarray, np.ndarray], Fit],
    gains: tuple[np.ndarray, ...],
    lengths: tuple[np.ndarray, ...],
    weights: tuple[np.ndarray, ...],
) -> tuple[np.ndarray, list[Fit], list[float]]:
    """Fit ranges of about as many pairs each; returns their edges, fits and summed weights."""
    count = int(np.clip(len(gains[0]) // _PAIRS_PER_BIN, 1, _BINS))
    inner = np.quantile(lengths[0], np.linspace(0, 1, count + 1)[1:-1])
    edges = np.unique(inner.astype(np.int64))
    # an edge at the shortest length would leave a range without pairs
    edges = edges[edges > lengths[0].min()]
    ranges = [np.searchsorted(edges, values, side="right") for values in lengths]
    fits, totals = [], []
    for number in range(len(edges) + 1):
        both = [
            _histogram(g[r == number], w[r == number]) for g, r, w in zip(gains, ranges, weights)
        ]
        fits.append(fitted(*both))
        totals.append(float(weights[0][ranges[0] == number].sum()))
    return edges, fits, totals


def _mean_information(fits: Sequence[Fit], totals: Sequence[float]) -> float:
    """Mean of f1 over all ranges, nats per piece."""
    mass = np.array([total * (1.0 - fit.null_share) for fit, total in zip(fits, totals)])
    means = np.array([fit.groups[0] @ fit.groups[1] for fit in fits])
    return float(mass @ means / max(mass.sum(), _TINY))


def _histogram(gains: np.ndarray, weights: np.ndarray) -> np.ndarray:
    inside = np.clip(gains, _RANGE[0], _RANGE[1] - 1e-6)
    counts = np.histogram(inside, EDGES, weights=weights)[0] + _TINY
    return counts / counts.sum()


class _Null:
    """Density f0: pairs that are ruled out, and a normal density with a spread on either side."""

    def __init__(self, made: np.ndarray) -> None:
        crowd = np.where(GRID > LEAST + GAP * _RULED_OUT, 0.0, made)
        others = np.cumsum(made - crowd + _TINY)
        low, mode = np.interp([0.1, 0.35], others / others[-1], GRID)
        self.mode = float(mode)
        self.left = self.right = max(self.mode - float(low), 0.15)
        self.shift = 0.0
        self.ruled_out = float(crowd.sum() / made.sum())  # share of that part

    def log_density(self, shift: float) -> np.ndarray:
        """Log density at `GRID`, up to a constant that the densities of f1 share."""
        return np.logaddexp(*self._log_parts(shift))

    def _log_parts(self, shift: float) -> tuple[np.ndarray, np.ndarray]:
        away = GRID - self.mode - shift
        spread = np.where(away < 0, self.left, self.right)
        normal = -0.5 * (away / spread) ** 2 - np.log((self.left + self.right) / 2)
        above = (GRID - LEAST) / _RULED_OUT
        crowd = np.where(GRID > _LEAST_CELL, -0.5 * above**2 - np.log(_RULED_OUT / 2), -np.inf)
        return np.log(self.ruled_out + _TINY) + crowd, np.log1p(-self.ruled_out + _TINY) + normal

    def learn(self, made: np.ndarray, observed: np.ndarray) -> None:
        """Make one step towards the maximum of the likelihood, given the mass at `GRID`."""
        made = made / made.sum()
        inside, shifted = (_normal_share(*self._log_parts(s)) for s in (0.0, self.shift))
        self.ruled_out = float(((1.0 - inside) * made).sum())
        made, observed = made * inside / (made * inside).sum(), observed * shifted
        away = GRID - self.mode
        below = float((made * np.where(away < 0, away**2, 0.0)).sum()) ** (1 / 3)
        above = float((made * np.where(away >= 0, away**2, 0.0)).sum()) ** (1 / 3)
        both = (below + above) ** 0.5
        self.left, self.right = (
            float(np.clip(one * both, *_NULL_SPREADS)) for one in (below, above)
        )
        self.mode = self._centre(made, 0.0)
        if observed.sum() > 1e-6:
            moved = self._centre(observed, self.shift) - self.mode
            self.shift = float(np.clip(moved, -SHIFT * self.left, SHIFT * self.right))

    def _centre(self, mass: np.ndarray, shift: float) -> float:
        """Mode that balances the weighted mass on both sides."""
        pull = mass / np.where(GRID - shift < self.mode, self.left, self.right) ** 2
        return float((pull * GRID).sum() / pull.sum())


def _normal_share(ruled_out: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Posterior of the second of two parts, from their log densities."""
    return np.exp(normal - np.logaddexp(ruled_out, normal))


def _fit(observed: np.ndarray, made: np.ndarray) -> Fit:
    null = _Null(made)
    start = np.interp([0.6, 0.9], np.cumsum(observed), GRID)
    groups = np.array([[0.5, 0.5], np.maximum(start, null.mode + GAP * null.right), [0.6, 0.6]])
    share, accidents = 0.5, 0.1
    for _ in range(_ITERATIONS):
        parts = _log_parts(groups)
        good = logsumexp(parts, 0)
        junk = _responsibility(share, null.log_density(null.shift), good)
        own = _responsibility(1.0 - accidents, null.log_density(0.0), good)
        share = _share(junk, observed)
        accidents = min(float(((1.0 - own) * made).sum()), _MOST_ACCIDENTS)
        null.learn(own * made, junk * observed)
        mass = np.exp(parts - good) * (1.0 - junk) * observed
        lowest = null.mode + max(null.shift, 0.0) + GAP * null.right
        groups = _learned_groups(mass, lowest)
    junk = _responsibility(share, null.log_density(null.shift), logsumexp(_log_parts(groups), 0))
    at = int(np.searchsorted(GRID, null.mode + null.shift))
    # f1 has wider tails than f0, so the posterior would rise again below the null
    posterior = np.maximum.accumulate(np.where(np.arange(_CELLS) < at, 0.0, 1.0 - junk))
    if at > 0:
        posterior[:at] = min(float(posterior[at]), float((1.0 - junk)[:at].min()))
    return Fit(share, np.exp(null.log_density(null.shift)) / _ROOT, groups, posterior)


def _fit_names(observed: np.ndarray, made: np.ndarray, least: float) -> Fit:
    """Fit names: f0 is the smoothed histogram of the made ones, f1 has means of ``least`` or more.

    Made pairs hold no translations by accident here: equal ones are left out (`nulls.junk`).
    """
    smooth = gaussian_filter1d(made, _SMOOTHING, mode="reflect")
    density = ((1.0 - _UNIFORM) * smooth + _UNIFORM / _CELLS) / (GRID[1] - GRID[0])
    log_null = np.log(density * _ROOT)
    lowest = max(least, float(np.interp(0.9, np.cumsum(made), GRID)))
    start = np.interp([0.6, 0.9], np.cumsum(observed), GRID)
    groups = np.array([[0.5, 0.5], np.maximum(start, lowest), [0.6, 0.6]])
    share = 0.5
    for _ in range(_ITERATIONS):
        parts = _log_parts(groups)
        good = logsumexp(parts, 0)
        junk = _responsibility(share, log_null, good)
        share = _share(junk, observed)
        groups = _learned_groups(np.exp(parts - good) * (1.0 - junk) * observed, lowest)
    junk = _responsibility(share, log_null, logsumexp(_log_parts(groups), 0))
    rising = isotonic_regression(1.0 - junk, sample_weight=observed, y_min=0.0, y_max=1.0)
    return Fit(share, density, groups, rising)


def _log_parts(groups: np.ndarray) -> np.ndarray:
    """Log of weight times density of each part of f1 at `GRID`, up to a constant."""
    weight, mean, spread = groups[:, :, None]
    return np.log(weight + 1e-12) - 0.5 * ((GRID - mean) / spread) ** 2 - np.log(spread)


def _share(junk: np.ndarray, observed: np.ndarray) -> float:
    """Share of junk: at most 1, which a sum of float32 weights may exceed by rounding."""
    return min(float((junk * observed).sum()), 1.0)


def _responsibility(share: float, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Posterior of the first of two groups."""
    first = np.log(share + _TINY) + one
    return np.exp(first - np.logaddexp(first, np.log(1.0 - share + _TINY) + other))


def _learned_groups(mass: np.ndarray, lowest: float) -> np.ndarray:
    total = mass.sum(1) + 1e-12
    mean = np.maximum((mass @ GRID) / total, lowest)
    variance = (mass * (GRID - mean[:, None]) ** 2).sum(1) / total
    return np.array([total / total.sum(), mean, np.clip(np.sqrt(variance), *_SPREADS)])
