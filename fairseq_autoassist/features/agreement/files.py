"""Reader of what ``autoassist-agreement`` wrote, with a check that it fits the loaded data.

Three files are in the folder of the features: ``prior`` (float32 little-endian, rows),
``agreement.json``, which names their data, and ``agreement.bins`` (uint8, rows x
statistics).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

from ...core.prior import Prior
from ...errors import FeatureError
from ...text.fingerprint import Fingerprint, data_differences, sha256_of_files
from ..binned import Codes
from ..prior import MappedPrior

PRIOR_NAME, AGREEMENT_NAME, CODES_NAME = "prior", "agreement.json", "agreement.bins"
NAMES = (PRIOR_NAME, AGREEMENT_NAME, CODES_NAME)
MOST_BINS = 256  # one byte


class Agreement(NamedTuple):
    """Agreement of the pairs of a data-bin, in the folder of its features.

    Attributes:
        folder: of the features
        fingerprint: of its data
        prior_sha256: of the bytes of ``prior``, in hex
        bins_sha256: of the bytes of ``agreement.bins``, in hex; an older version did not write it,
            and then it is taken from that file
        statistics: names, in the order of the columns of ``agreement.bins``
        bins: of each statistic
        command: that writes all files again
        tokens: sha256 of the source and the target tokens; empty: not known
    """

    folder: Path
    fingerprint: Fingerprint
    prior_sha256: str
    bins_sha256: str
    statistics: tuple[str, ...]
    bins: int
    command: str
    tokens: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path, command: str) -> Agreement | None:
        """Read ``agreement.json``; None where none of the files exists.

        Raises:
            FeatureError: some of the files are missing, or it cannot be read
        """
        found = [name for name in NAMES if (folder / name).is_file()]
        if not found:
            return None
        path, mend = folder / AGREEMENT_NAME, f"write it again with: {command}"
        if len(found) < len(NAMES):
            raise FeatureError(
                f"the agreement of pairs in {folder} is not whole: found {' and '.join(found)}, "
                f"expected {', '.join(NAMES)}; {mend}"
            )
        try:
            return cls._from_json(json.loads(path.read_text(encoding="utf-8")), folder, command)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FeatureError(
                f"{path} is damaged ({type(error).__name__}: {error}), expected what "
                f"autoassist-agreement writes; {mend}"
            ) from error

    @classmethod
    def _from_json(cls, told: Mapping[str, Any], folder: Path, command: str) -> Agreement:
        bins, names = int(told["bins"]), tuple(map(str, told["statistics"]))
        if not names:
            raise ValueError("no statistics, expected at least one")
        if not 1 <= bins <= MOST_BINS:
            raise ValueError(f"{bins} bins, expected 1 to {MOST_BINS}")
        of_data, tokens = Fingerprint(**told["fingerprint"]), tuple(told.get("tokens") or ())
        prior_hash, bins_hash = str(told["prior_sha256"]), str(told.get("bins_sha256") or "")
        bins_hash = bins_hash or _sha256_of(folder / CODES_NAME, command)
        return cls(folder, of_data, prior_hash, bins_hash, names, bins, command, tokens)

    def check_sizes(self) -> None:
        """Refuse files of a wrong size.

        Raises:
            FeatureError: the message names the file and the command that mends it
        """
        self.prior(1.0)
        self.codes.open(self.fingerprint.rows)

    def check(self, expected: Fingerprint, tokens: Sequence[str] | None = None) -> None:
        """Refuse an agreement of other data, or a damaged one.

        Args:
            expected: describes the data
            tokens: sha256 of their source and their target tokens; None: not compared

        Raises:
            FeatureError: the message names the difference and the command that mends it
        """
        differences = data_differences(self.fingerprint, self.tokens, expected, tokens)
        if differences:
            raise FeatureError(
                f"the prior in {self.folder} was made of other data than is loaded "
                f"({differences}); write it again with: {self.command}"
            )
        for name, wanted in ((PRIOR_NAME, self.prior_sha256), (CODES_NAME, self.bins_sha256)):
            found = _sha256_of(self.folder / name, self.command)
            if found != wanted:
                raise FeatureError(
                    f"{self.folder / name} is damaged: found sha256 {found[:12]}, expected "
                    f"{wanted[:12]}; write it again with: {self.command}"
                )

    def prior(self, floor: float) -> Prior:
        """Map the prior, with a floor in (0, 1].

        Raises:
            FeatureError: the file is missing, too short or too long
        """
        path, rows = self.folder / PRIOR_NAME, self.fingerprint.rows
        return MappedPrior(path, rows, floor, self.prior_sha256, self.command)

    @property
    def codes(self) -> Codes:
        """Names the file of bins of the statistics."""
        path = str(self.folder / CODES_NAME)
        return Codes(path, self.statistics, self.bins, self.bins_sha256, self.command)


def _sha256_of(path: Path, command: str) -> str:
    mend = f"write it again with: {command}"
    (found,) = sha256_of_files([path], f"what autoassist-agreement writes; {mend}")
    return found
