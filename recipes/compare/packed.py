"""Packed runs: three files in one folder, written by `recipes.compare.collect`.

    records.jsonl.gz   one JSON object a run, with the session that it was made in
    summary.csv        one line a run, with its cost and scores
    runs.tar.xz        RUN/UPDATES/DEVICE/test.hyp.txt and counts.npy

The report reads the first one, and the translations. The counts are kept for questions that no
report asks yet: which pairs a run trained on cannot be known later.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import re
import tarfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, NamedTuple, Sequence

from preprocess.text import UserError, whole_file, whole_files
from recipes.common.data import ROOT

RECORDS, SUMMARY, ARCHIVE = "records.jsonl.gz", "summary.csv", "runs.tar.xz"
HYPOTHESES, COUNTS = "test.hyp.txt", "counts.npy"  # of a run: translations, times a pair was used
AGAIN = "take it from git again, or pack the runs again by `python -m recipes.compare.collect`"
COLUMNS = (
    *("session", "run", "corpus", "architecture", "arm", "budget", "seed", "updates"),
    *("tokens", "padded_tokens", "wall_s", "cpu_s", "features_s"),
    *("BLEU", "valid_BLEU", "chrF2", "valid_loss", "slice_loss"),
    *("device", "threads", "jobs", "commit"),
)
PRESET = 7  # a dictionary of 16 MiB, which holds all translations of one test set

Raw = Dict[str, Any]  # a record as JSON
Members = Dict[str, bytes]  # RUN/UPDATES/DEVICE/NAME -> content


class Files(NamedTuple):
    """Files of one run: in its own folder OUT/runs/RUN, or in an archive of packed runs."""

    where: Path
    key: str  # RUN/UPDATES/DEVICE, of an archive

    @property
    def packed(self) -> bool:
        """Whether they are in an archive."""
        return self.where.name == ARCHIVE

    @property
    def corpora(self) -> Path:
        """Folder of the corpora: OUT/corpora, for packed runs runs/compare/corpora."""
        out = ROOT / "runs" / "compare" if self.packed else self.where.parent.parent
        return out / "corpora"

    def place(self, name: str) -> str:
        """Name of a file in messages."""
        return f"{self.where}: {self.key}/{name}" if self.packed else str(self.where / name)

    def read(self, name: str) -> bytes | None:
        """Content of a file; None where it is missing."""
        if self.packed:
            return read_archive(self.where).get(f"{self.key}/{name}")
        path = self.where / name
        return path.read_bytes() if path.is_file() else None


def key_of(raw: Raw) -> str:
    """RUN/UPDATES/DEVICE; a newer record with the same key replaces an older one."""
    return f"{raw['run']}/{raw['updates']}/{re.sub('[^A-Za-z0-9]+', '-', raw['device'])}"


@lru_cache(maxsize=None)
def read_archive(path: Path) -> Members:
    """Read all members of an archive; return none where the file is missing.

    Raises:
        UserError: the file is cut short or no archive
    """
    if not path.is_file():
        return {}
    try:
        content = io.BytesIO(lzma.decompress(path.read_bytes()))
        with tarfile.open(fileobj=content) as archive:
            files = ((member, archive.extractfile(member)) for member in archive)
            return {member.name: stream.read() for member, stream in files if stream}
    except (tarfile.TarError, lzma.LZMAError) as error:
        raise UserError(f"{path} is no whole archive ({error}): {AGAIN}") from error


def read_lines_of(path: Path) -> list[str]:
    """Read the lines of a records.jsonl.gz.

    Raises:
        UserError: the file is cut short or not compressed
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            return [line for line in stream if line.strip()]
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): {AGAIN}") from error


def write(folder: Path, records: Sequence[Raw], members: Members) -> None:
    """Write the three files; equal content gives equal bytes.

    Args:
        records: in any order; each has a session
        members: of the archive, by RUN/UPDATES/DEVICE/NAME
    """
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(records, key=key_of)
    with whole_files(folder / SUMMARY) as (text,):
        text.write(summary(ordered))
    lines = "".join(json.dumps(raw, sort_keys=True) + "\n" for raw in ordered)
    packed = {ARCHIVE: _archive(members), RECORDS: gzip.compress(lines.encode(), 9, mtime=0)}
    for name, content in packed.items():
        with whole_file(folder / name) as part:
            part.write_bytes(content)
    read_archive.cache_clear()


def _archive(members: Members) -> bytes:
    """A tar.xz; files of one kind and corpus are adjacent, which compresses best."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in sorted(members, key=lambda name: [*name.split("/")[::-1], name]):
            told = tarfile.TarInfo(name)
            told.size = len(members[name])
            archive.addfile(told, io.BytesIO(members[name]))
    return lzma.compress(buffer.getvalue(), preset=PRESET)


def summary(records: Sequence[Raw]) -> str:
    """The content of summary.csv; times in seconds, losses in nats per token."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for raw in records:
        whole = {**raw["marks"][-1], **raw["train"], **raw}
        row = {k: round(v, 4) if isinstance(v, float) else v for k, v in whole.items()}
        writer.writerow(row)
    return stream.getvalue()
