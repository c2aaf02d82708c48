"""Arguments of a PyTorch user, turned into the specification that the core plans from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import numbers
import os
import re
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
import torch

from ..config import AutoAssistConfig
from ..core.batching import BatchLimits
from ..core.items import Items
from ..core.prior import Prior, digest
from ..core.protocol import PlanSpec
from ..core.source import FeatureOpener, FeatureSource
from ..core.strategies import begins_easily, needs_of, strategy_class
from ..core.strategies.easy_first import SWITCH
from ..errors import AutoAssistError, ConfigError, told
from ..features.dense import DenseFile, MatrixFeatures
from ..features.memory import HeldFeatures
from ..features.store import Features, StoredFeatures

#: options that name files of the fairseq plugin, or that are arguments of `AutoAssist`
_ELSEWHERE = {"features", "prior", "strategy", "trace", "competence_by"}
_CHUNK = 1 << 18  # values that are read at once
_CONSTANT = math.sqrt(0.5)  # last feature of each item: half of a square norm of 1
_COUNT = "give AutoAssist(features, ...) an array or CSR matrix (items, dimensions), or a store"


@dataclasses.dataclass(frozen=True)
class Run:
    """Length of a run, and how far the loader may run ahead of the reports.

    Attributes:
        max_batches: batches of each rank in the whole run; 0: not known
        max_passes: passes over the data in the whole run; 0: not known
        lag: micro-batch k is planned with the reports of micro-batches 0 .. k - lag
    """

    max_batches: int
    max_passes: float
    lag: int

    @classmethod
    def checked(cls, max_batches: Any, max_passes: Any, lag: Any) -> Run:
        """Make it from the arguments of a user.

        Raises:
            ConfigError: one of them is no number or out of its range
        """
        number = isinstance(max_passes, numbers.Real) and not isinstance(max_passes, bool)
        if not number or not 0 <= max_passes < math.inf:
            raise ConfigError(f"found max_passes {max_passes!r}, expected a number, at least 0")
        passes = float(max_passes)
        return cls(whole(max_batches, "max_batches", 0), passes, whole(lag, "lag", 1))


def whole(value: Any, name: str, least: int | None = None) -> int:
    """Check an argument that has to be a whole number.

    Raises:
        ConfigError: it is none, or below `least`
    """
    number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not number or (least is not None and value < least):
        bound = "" if least is None else f", at least {least}"
        raise ConfigError(f"found {name} {value!r}, expected a whole number{bound}")
    return int(value)


def make_spec(
    features: Any,
    limits: BatchLimits,
    seed: int,
    prior: Any,
    difficulty: Any,
    run: Run,
    options: dict[str, Any],
    full_batches: bool,
) -> PlanSpec:
    """Make the specification of a plan for one rank; the adapter sets rank and world size.

    Args:
        features: rows by item id, as `AutoAssist` takes them, or the number of items
        limits: limits of a batch
        seed: seed of the run
        prior: numbers in [0, 1], shape (items,), or None
        difficulty: numbers, shape (items,), or None
        run: length of the run and lag
        options: options of the core by name, the strategy included
        full_batches: whether no batch may be smaller than the limits allow

    Raises:
        AutoAssistError: an argument is wrong; the message names it and what was expected
    """
    config = _config(options, prior)
    opener, source, count = _features(features)
    _check_needs(config, opener, prior, difficulty, run)
    if not needs_of(config).features:
        opener = source = None
    elif type(opener).__module__ == "__main__" and not config.inline:
        raise ConfigError(
            f"found an opener of a class in the program itself, {type(opener).__name__}, expected "
            "one of a module on PYTHONPATH: the Assistant's process imports it"
        )
    if difficulty is not None:
        difficulty = _ranks(_column(difficulty, "difficulty", count))
    return PlanSpec(
        config=config,
        items=Items(count, difficulty=difficulty),
        limits=limits,
        seed=seed,
        lag=run.lag,
        features=opener,
        prior=None if prior is None else _prior(prior, count, config.prior_floor),
        dimensions=0 if source is None else source.dimensions,
        features_hash="" if source is None else _identity(source),
        max_update=run.max_batches,
        max_passes=run.max_passes,
        full_batches=full_batches,
    )


_Error = TypeVar("_Error", bound=AutoAssistError)


def in_python(error: _Error) -> _Error:
    """Name arguments in place of flags in an error: ``--autoassist-spl-start`` -> ``spl_start``."""
    text = re.sub(
        r"--autoassist-([a-z-]+)", lambda found: found.group(1).replace("-", "_"), str(error)
    )
    return type(error)(text)


def _config(options: dict[str, Any], prior: Any) -> AutoAssistConfig:
    known = [field.name for field in dataclasses.fields(AutoAssistConfig)]
    taken = [name for name in known if name not in _ELSEWHERE]
    for name in options:
        if name not in taken and name != "strategy":
            raise ConfigError(f"found the option {name!r}, expected one of: {', '.join(taken)}")
    # plain numbers, since states hold the options
    options = {k: v.item() if isinstance(v, np.generic) else v for k, v in options.items()}
    fixed: dict[str, Any] = {} if prior is not None else {"prior": "none"}
    try:
        if options.get(SWITCH) or strategy_class(options["strategy"]).easy_first:
            fixed["competence_by"] = "length"  # the difficulty that is given
        return AutoAssistConfig(**fixed, **options)
    except ConfigError as error:
        raise in_python(error) from None


def _check_needs(
    config: AutoAssistConfig, opener: Any, prior: Any, difficulty: Any, run: Run
) -> None:
    needs, named = needs_of(config), f"the strategy {config.strategy!r}"
    if needs.features and opener is None:
        raise ConfigError(f"{named} needs features, found a number of items: {_COUNT}")
    if prior is not None and needs.prior == "ignored":
        raise ConfigError(f"{named} goes without a prior: leave prior=... out")
    if prior is None and needs.prior == "required":
        raise ConfigError(f"{named} needs a prior: give prior=..., a number in [0, 1] per item")
    eased = begins_easily(config)
    if eased and difficulty is None:
        raise ConfigError(f"{named} begins with easy items: give difficulty=..., a number per item")
    if difficulty is not None and not eased:
        raise ConfigError(f"{named} reads no difficulty: leave it out, or give {SWITCH}=True")
    if needs.run_length and not run.max_batches and not run.max_passes:
        setting = in_python(ConfigError(needs.run_length))
        raise ConfigError(
            f"{named} with {setting} has to know where the run ends: give max_batches=... or "
            "max_passes=..."
        )


def _features(given: Any) -> tuple[FeatureOpener | None, FeatureSource | None, int]:
    """Give the opener, what it opens, and the number of items."""
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        if given < 1:
            raise ConfigError(f"found {given} items, expected at least 1")
        return None, None, int(given)
    if isinstance(given, (str, os.PathLike)):
        path = os.fspath(given)
        given = DenseFile(path) if path.endswith(".npy") else StoredFeatures(path)
    opener = given if callable(getattr(given, "open", None)) else HeldFeatures(_matrix(given))
    source = opener.open()
    return opener, source, source.rows


def _identity(source: FeatureSource) -> str:
    """Sha256 that tells features from others, in hex: of all values, or else of what is known."""
    if isinstance(source, MatrixFeatures):
        matrix = source.matrix
        if sp.issparse(matrix):
            return digest(matrix.data, matrix.indices, matrix.indptr)
        return digest(matrix)
    told: list[Any] = [source.rows, source.dimensions]
    if isinstance(source, Features):
        told += [source.manifest.provenance, source.manifest.settings]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _matrix(given: Any) -> Any:
    """Scale rows to float32 and add a constant, so that their mean square norm is 1.

    The default eta is chosen for that norm. The constant, half of it, is the regression's
    intercept.
    """
    if sp.issparse(given):
        rows = sp.csr_array(given, dtype=np.float32)
        scaled = sp.csr_array(
            (rows.data * _scale(rows.shape, rows.data), rows.indices, rows.indptr), rows.shape
        )
        constant = sp.csr_array(np.full((rows.shape[0], 1), _CONSTANT, dtype=np.float32))
        return sp.csr_array(sp.hstack([scaled, constant], format="csr"))
    found = _array(given, f"features that numpy cannot read: {_COUNT}")
    if found.ndim < 2 or not len(found) or found.dtype.kind not in "fiub":
        raise ConfigError(
            f"found features of type {found.dtype} with shape {found.shape}: {_COUNT}"
        )
    found = found.reshape(len(found), -1)
    matrix = np.zeros((found.shape[0], found.shape[1] + 1), dtype=np.float32)
    matrix[:, :-1] = found
    matrix *= _scale(found.shape, matrix.reshape(-1))
    matrix[:, -1] = _CONSTANT
    return matrix


def _scale(shape: tuple[int, ...], values: np.ndarray) -> np.float32:
    """Factor on the values (n,) of a matrix that makes the mean square norm of its rows 1/2."""
    norm = float(np.sqrt(_sum_of_squares(values) / max(shape[0], 1)))
    if not np.isfinite(norm) or norm == 0.0:
        raise ConfigError(
            f"found features of shape {shape} that are all 0, or some NaN or infinite, "
            "expected finite numbers: mend them with numpy.nan_to_num"
        )
    return np.float32(_CONSTANT / norm)


def _array(given: Any, failed: str) -> np.ndarray:
    """Read an array, a list, or a tensor on any device, of any precision, with or without grad.

    Raises:
        ConfigError: numpy cannot read it; the message begins with what is `failed`
    """
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu()
        if given.is_floating_point() and given.element_size() < 4:
            given = given.float()  # numpy has no bfloat16
    try:
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"found {failed} ({told(error)})") from error


def _sum_of_squares(values: np.ndarray) -> float:
    """Sum of squares (n,) in float64, of which only a part is in memory at once."""
    parts = (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
    return sum(float(np.square(part, dtype=np.float64).sum()) for part in parts)


def _column(given: Any, name: str, count: int) -> np.ndarray:
    found = _array(given, f"a {name} that numpy cannot read, expected a number per item")
    if found.shape != (count,) or found.dtype.kind not in "fiub" or not np.isfinite(found).all():
        raise ConfigError(
            f"found a {name} of type {found.dtype} with shape {found.shape}, expected a finite "
            f"number per item, shape ({count},)"
        )
    return found


def _ranks(difficulty: np.ndarray) -> np.ndarray:
    """Place of each item in the order of difficulty, 0 the easiest: integers (items,)."""
    ranks = np.empty(len(difficulty), dtype=np.int64 if len(difficulty) >= 2**31 else np.int32)
    ranks[np.argsort(difficulty, kind="stable")] = np.arange(len(difficulty))
    return ranks


def _prior(given: Any, count: int, floor: float) -> Prior:
    values = _column(given, "prior", count).astype(np.float32)
    if values.min() < 0.0 or values.max() > 1.0:
        raise ConfigError(
            f"found a prior from {values.min():g} to {values.max():g}, expected numbers in [0, 1]"
        )
    return Prior(values, floor)
