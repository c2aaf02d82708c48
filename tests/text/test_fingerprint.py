"""Fingerprint of a corpus: it depends on the length of every sentence, not on its dtype."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.errors import FeatureError
from fairseq_autoassist.text.fingerprint import Fingerprint, fingerprint


def test_fingerprint_sees_every_size_whatever_the_dtype(tmp_path: Path) -> None:
    (tmp_path / "dict").write_text("a 1\n")

    def of(source: list, target: list, dtype: str = "i4") -> Fingerprint:
        sides = (np.array(source, dtype), np.array(target, dtype))
        return fingerprint(tmp_path / "dict", tmp_path / "dict", *sides)

    assert of([3, 4], [5, 6]) == of([3, 4], [5, 6], "i8")
    assert of([3, 4], [5, 6]) != of([3, 4], [6, 5])
    assert of([3, 4], [5, 6]) != of([5, 6], [3, 4])
    (tmp_path / "other").write_text("b 1\n")
    sides = np.array([3, 4]), np.array([5, 6])
    mine, other = tmp_path / "dict", tmp_path / "other"
    prints = [fingerprint(*pair, *sides) for pair in ((mine, mine), (mine, other), (other, mine))]
    assert len({str(each) for each in prints}) == 3  # every dictionary counts
    with pytest.raises(FeatureError, match="found 1 and 2"):
        of([3], [5, 6])
    with pytest.raises(FeatureError, match="cannot read dictionary"):
        fingerprint(tmp_path / "none", tmp_path / "dict", np.ones(1, int), np.ones(1, int))
