"""TF-IDF features: pair ids -> rows that are mapped from disk.

A folder of features holds CSR rows in blocks, three raw little-endian files each::

    manifest.json   block0.indptr (int32, rows + 1)   block0.indices (int32)   block0.data (float32)

and beside them ``rarity`` (float32, rows), a number a pair for curricula: see ``Features.rarity``.
Blocks hold fewer than 2**31 non-zeros. As soon as one offset needs int64, scipy copies all indices
to int64: a large corpus would double in size and leave the page cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, NamedTuple, Sequence

import numpy as np
import scipy.sparse as sp

from ..core.source import FeatureSource
from ..errors import FeatureError
from ..text.fingerprint import Fingerprint, data_differences
from .binned import Binned, Codes
from .commands import mending_command
from .files import map_block, map_file
from .ids import checked
from .manifest import Manifest
from .rows import CsrRows

BLOCK_NONZEROS = 2**31 - 1  # most non-zeros (and rows) of a block, so that int32 offsets suffice
RARITY_NAME = "rarity"


class Features:
    """Mapped TF-IDF rows of a data-bin: row i belongs to pair id i of fairseq's dataset.

    Opening reads the manifest only. Pages are read with their rows, and all processes of a machine
    share them. Pickling sends the path of the folder, not the arrays.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, blocks: list[sp.csr_array], command: str
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self._blocks = blocks
        self._ends = np.cumsum(manifest.blocks, dtype=np.int64)
        self._command = command
        self._rarity: np.ndarray | None = None

    @classmethod
    def open(cls, folder: str | Path, command: str | None = None) -> Features:
        """Map the features in ``folder``, in time that does not depend on their number.

        Args:
            folder: see ``feature_folder``.
            command: that mends them, for error messages; None: derived from the path.

        Raises:
            FeatureError: features are missing, unreadable, truncated or of another version.
        """
        folder = Path(folder)
        command = command or mending_command(folder)
        manifest = Manifest.load(folder, command)
        blocks = [map_block(folder, manifest, b, command) for b in range(len(manifest.blocks))]
        return cls(folder, manifest, blocks, command)

    @classmethod
    def open_all(cls, folders: Sequence[Path], command: str) -> list[Features]:
        """Open the features of all data-bins of a run; ``command`` builds them.

        Raises:
            FeatureError: as in `open`, or their document frequencies differ.
        """
        opened = [cls.open(folder, command) for folder in folders]
        if len({features.manifest.provenance.get("idf") for features in opened}) > 1:
            raise FeatureError(
                "these data-bins have features of different document frequencies, expected the "
                f"same, since one Assistant goes through all; build them together with: {command} "
                "--force"
            )
        return opened

    def __reduce__(self) -> tuple[object, ...]:
        return Features.open, (self.folder, self._command)

    @property
    def rows(self) -> int:
        """Number of pairs."""
        return self.manifest.rows

    @property
    def dimensions(self) -> int:
        """Number of features, len(source dictionary) + len(target dictionary)."""
        return self.manifest.dimensions

    @property
    def rarity(self) -> np.ndarray:
        """Rarity of each pair's source words: float32 (rows,), nats, mapped when first asked for.

        d_rarity = - sum over k of ln p(w_k) (Platanios et al., NAACL 2019, section 3). p(w) is the
        share of w among the source tokens of all data-bins that were built together. <s>, <pad> and
        </s> are left out of the sum and of p. <unk> counts as one word.

        Raises:
            FeatureError: the file is missing or truncated.
        """
        if self._rarity is None:
            path = self.folder / RARITY_NAME
            self._rarity = map_file(path, self.rows, np.float32, self._command)
        return self._rarity

    @property
    def difficulty(self) -> np.ndarray:
        """Difficulty of each pair for a curriculum: its `rarity`."""
        return self.rarity

    def check(self, expected: Fingerprint, tokens: Sequence[str] | None = None) -> None:
        """Refuse features of other data.

        Args:
            expected: describes the data
            tokens: sha256 of their source and their target tokens; None: not compared

        Raises:
            FeatureError: the message names the difference and the command that mends it
        """
        differences = data_differences(
            self.manifest.fingerprint, self.manifest.tokens, expected, tokens
        )
        if differences:
            raise FeatureError(
                f"features in {self.folder} were made of other data than is loaded ({differences});"
                f" build them again with: {self._command}"
            )

    def gather(self, ids: np.ndarray) -> CsrRows:
        """Get rows of pairs ``ids``, in that order.

        Args:
            ids: integers (n,), each in [0, rows).

        Returns:
            CSR float32 (n, dimensions).

        Raises:
            TypeError: ids are not integers. IndexError: an id is outside [0, rows).
        """
        ids = self._checked(ids)
        parts = list(self._by_block(ids))
        if len(parts) == 1:
            block, local, _ = parts[0]
            return CsrRows(block[local])
        stacked = sp.vstack([block[local] for block, local, _ in parts], format="csr")
        order = np.concatenate([positions for _, _, positions in parts])
        inverse = np.empty_like(order)
        inverse[order] = np.arange(len(order))
        return CsrRows(stacked[inverse])

    def scores(self, ids: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``gather(ids).dot(weights)``, without sorting by block twice.

        Args:
            ids: integers (n,), each in [0, rows); chunks of 4k to 16k are fastest.
            weights: float32 (dimensions,).

        Returns:
            float32 (n,). Raises as ``gather``; ValueError for weights of another shape.
        """
        weights = np.ascontiguousarray(weights, dtype=np.float32)
        if weights.shape != (self.dimensions,):
            raise ValueError(f"weights of shape {weights.shape}, expected ({self.dimensions},)")
        ids = self._checked(ids)
        parts = list(self._by_block(ids))
        if len(parts) == 1:
            block, local, _ = parts[0]
            return block[local] @ weights
        out = np.empty(len(ids), dtype=np.float32)
        for block, local, positions in parts:
            out[positions] = block[local] @ weights
        return out

    def _checked(self, ids: np.ndarray) -> np.ndarray:
        return checked(ids, self.rows, f"the features in {self.folder}")

    def _by_block(
        self, ids: np.ndarray
    ) -> Iterator[tuple[sp.csr_array, np.ndarray, slice | np.ndarray]]:
        """Give (block, row numbers in it, their positions in ``ids``) of each block with rows."""
        if len(self._blocks) == 1 or not ids.size:
            yield self._blocks[0], ids, slice(None)
            return
        number = np.searchsorted(self._ends, ids, side="right")
        for b in np.unique(number):
            positions = np.flatnonzero(number == b)
            start = self._ends[b] - self.manifest.blocks[b]
            yield self._blocks[b], ids[positions] - start, positions


class StoredFeatures(NamedTuple):
    """Names features on disk; a `core.source.FeatureOpener`.

    Attributes:
        folder: of the features
        codes: bins of statistics that become features too; None: there are none
        command: that builds the features, for error messages; None: derived from the path
    """

    folder: str
    codes: Codes | None = None
    command: str | None = None

    def open(self) -> FeatureSource:
        """Map the features.

        Raises:
            FeatureError: as `Features.open` and `Binned.open`
        """
        features = Features.open(self.folder, self.command)
        return features if self.codes is None else Binned.open(features, self.codes)
