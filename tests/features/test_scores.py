"""Scores of a user: valid files are read, bad files are refused with the line."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from fairseq_autoassist.errors import ConfigError
from fairseq_autoassist.features import scores
from fairseq_autoassist.features.scores import read_scores

GOOD = [0.0, 1.0, 0.25, 1e-9, 0.1]


def text(path: Path, lines: list[object], end: str = "\n") -> Path:
    path.write_text("\n".join(map(str, lines)) + end)
    return path


@pytest.mark.parametrize("name", ["scores.npy", "scores.txt", "scores"])
@pytest.mark.parametrize("part", [2, 1 << 16])
def test_good_scores_are_read(tmp_path: Path, monkeypatch, name: str, part: int) -> None:
    monkeypatch.setattr(scores, "_LINES", part)
    path = tmp_path / name
    np.save(path, np.array(GOOD)) if name.endswith(".npy") else text(path, GOOD)
    found = read_scores(path, 5, "bin")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32(GOOD))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.uint8, bool])
def test_numbers_of_any_type_are_read(tmp_path: Path, dtype: type) -> None:
    np.save(tmp_path / "s.npy", np.array([0, 1, 1], dtype=dtype))
    assert read_scores(tmp_path / "s.npy", 3, "bin").tolist() == [0.0, 1.0, 1.0]


def test_the_last_line_need_not_end(tmp_path: Path) -> None:
    assert len(read_scores(text(tmp_path / "s", GOOD, end=""), 5, "bin")) == 5
    windows = tmp_path / "w"
    windows.write_bytes(b"0.5\r\n0.25\r\n")
    assert read_scores(windows, 2, "bin").tolist() == [0.5, 0.25]


@pytest.mark.parametrize("part", [2, 1 << 16])
@pytest.mark.parametrize(
    "bad", ["-0.1", "-1e-6", "1.000001", "nan", "inf", "-inf", "x", "", "0.5 0.5", "0,5"]
)
def test_the_first_bad_line_is_named(tmp_path: Path, monkeypatch, bad: str, part: int) -> None:
    monkeypatch.setattr(scores, "_LINES", part)
    path = text(tmp_path / "s", [0.5, 0.5, 0.5, bad, "worse"])
    with pytest.raises(ConfigError) as error:
        read_scores(path, 5, "bin")
    said = f"--autoassist-prior {path}, line 4: found {bad!r}, expected a number from 0 to 1; "
    assert str(error.value) == said + "to train without: --autoassist-prior none"


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan, np.inf])
def test_the_first_bad_index_is_named(tmp_path: Path, bad: float) -> None:
    np.save(tmp_path / "s.npy", np.array([0.5, 0.5, bad, 2.0]))
    with pytest.raises(ConfigError) as error:
        read_scores(tmp_path / "s.npy", 4, "bin")
    assert f"s.npy, index 2: found {bad}, expected a number from 0 to 1; to" in str(error.value)


@pytest.mark.parametrize(
    "count, pairs, found",
    [(5, 6, "5 lines"), (5, 4, "5 lines"), (5, 2, "5 lines"), (0, 3, "0 lines")],
)
def test_another_number_of_lines_is_refused(
    tmp_path: Path, monkeypatch, count: int, pairs: int, found: str
) -> None:
    monkeypatch.setattr(scores, "_LINES", 2)
    path = tmp_path / "s"
    path.write_text("0.5\n" * count)
    with pytest.raises(ConfigError) as error:
        read_scores(path, pairs, "data-bin")
    assert f"{path}: found {found}, expected {pairs}, one for each pair of data-bin; to " in str(
        error.value
    )


def test_another_number_of_values_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.array(GOOD))
    with pytest.raises(ConfigError, match="found 5 values, expected 4, one for each pair of bin"):
        read_scores(tmp_path / "s.npy", 4, "bin")


def numpy_file(array: np.ndarray, **named) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **named)
    return stream.getvalue()


def numpy_archive(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "is no array of numpy's"),
        (b"0.5\n", "is no array of numpy's"),
        (numpy_file(np.ones(9))[:-4], "is no array of numpy's"),
        (numpy_file(np.array([{}]), allow_pickle=True), "is no array of numpy's"),
        (numpy_file(np.ones((4, 1))), r"float64 with shape \(4, 1\), expected numbers with shape"),
        (numpy_file(np.array(["0.5"])), "found an array of <U3"),
        (numpy_file(np.ones(2, complex)), "found an array of complex128"),
        (numpy_archive(np.ones(4)), "an archive of several arrays"),
        (numpy_archive(np.ones(4))[:-9], "is no array of numpy's"),
    ],
)
def test_a_file_that_is_no_array_of_numbers_is_refused(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "s.npy").write_bytes(content)
    with pytest.raises(ConfigError, match=said) as error:
        read_scores(tmp_path / "s.npy", 4, "bin")
    assert "\n" not in str(error.value) and "--autoassist-prior none" in str(error.value)


@pytest.mark.parametrize("name", ["none.npy", "none.txt", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    reason = "Is a directory" if name == "." else "No such file or directory"
    with pytest.raises(ConfigError, match=f"{reason}, expected a file of scores"):
        read_scores(tmp_path / name, 4, "bin")


def test_of_a_long_bad_line_the_beginning_is_shown(tmp_path: Path) -> None:
    """A compressed file, say, has lines of any length."""
    with pytest.raises(ConfigError) as error:
        read_scores(text(tmp_path / "s", [0.5, "x" * 100_000]), 2, "bin")
    assert f"line 2: found '{'x' * 60}' ..., expected a number" in str(error.value)
