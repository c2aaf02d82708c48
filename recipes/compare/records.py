"""Read and check the records of runs, trained or packed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterable, Mapping, NamedTuple, Sequence

from preprocess.text import UserError, read_lines
from recipes.compare.packed import ARCHIVE, RECORDS, Files, key_of, read_lines_of
from recipes.multi30k.prepare import LANGS

Values = Dict[str, float]
TEXTS = ("run", "corpus", "architecture", "arm", "commit", "device")
COUNTS = ("seed", "updates", "threads", "jobs")
TRAIN = ("tokens", "padded_tokens", "wall_s", "cpu_s")
MARK = ("update", "tokens", "wall_s", "valid_loss", "slice_loss", "BLEU", "chrF2", "valid_BLEU")
ALIKE = ("beam", "lenpen", "max_len", "sha256")  # of the settings: decoding, and the corpus' files
AGAIN = "remove it and run `python -m recipes.compare.run` again"


class Condition(NamedTuple):
    """Conditions of a measured time: only times under equal conditions are comparable."""

    device: str
    threads: int
    jobs: int
    tuning: str = ""  # variables of the environment, `NAME=value ...`
    resumed: str = ""  # all conditions of a run that resumed under another one
    session: str = ""  # of the machine, since two of one kind may differ in speed

    @property
    def shared(self) -> bool:
        """Whether runs shared a GPU, so that their times depend on one another."""
        return self.jobs > 1 and self.device.startswith("NVIDIA")

    def __str__(self) -> str:
        tuning = [self.tuning] if self.tuning else []
        resumed = [f"resumed ({self.resumed})"] if self.resumed else []
        session = [f"session {self.session}"] if self.session else []
        words = [self.device, f"{self.threads} threads", f"{self.jobs} jobs"]
        words += [*tuning, *resumed, *session]
        return ", ".join(words)


@dataclass(frozen=True)
class Record:
    """One run, as `recipes.compare.run` recorded it; losses in nats per token, times in seconds."""

    run: str
    corpus: str
    architecture: str
    arm: str
    budget: float  # share of the full number of updates
    seed: int
    updates: int
    commit: str
    device: str
    threads: int
    jobs: int  # runs side by side on the machine
    train: Values
    marks: list[Values]  # in order of updates; the last is the end of the run
    signatures: Mapping[str, str]  # metric -> signature of sacreBLEU
    files: Files  # translations and counts
    source: str  # file (and line) it was read from
    versions: Mapping[str, str] = field(default_factory=dict)
    tuning: Mapping[str, str] = field(default_factory=dict)
    resumed: str = ""
    session: str = ""
    flags: tuple[str, ...] = ()  # of fairseq-train, those that name no path
    alike: Mapping[str, str] = field(
        default_factory=dict
    )  # settings that must be equal in runs that are compared
    curve: list[Values] = field(default_factory=list)
    drift: list[Values] = field(default_factory=list)
    drift_all: Values = field(default_factory=dict)
    labels: Mapping[str, Values] = field(default_factory=dict)
    text: str = ""  # the JSON with sorted keys; equal for equal records

    @property
    def condition(self) -> Condition:
        tuning = " ".join(f"{name}={self.tuning[name]}" for name in sorted(self.tuning))
        where = self.device, self.threads, self.jobs
        return Condition(*where, tuning, self.resumed, self.session)

    @property
    def languages(self) -> tuple[str, str]:
        """Source and target by the flags; English to German by default."""
        told = dict(zip(self.flags, self.flags[1:]))
        return told.get("--source-lang", LANGS[0]), told.get("--target-lang", LANGS[1])

    @property
    def features_s(self) -> float:
        """Seconds of making the features that its choice reads; 0 in older records."""
        return self.train.get("features_s", 0.0)

    @property
    def end(self) -> Values:
        return self.marks[-1]


def _wrong(where: str, what: str, found: object, expected: str) -> UserError:
    return UserError(f"{where}: {what} is {found!r}; expected {expected}: {AGAIN}")


def _number(value: object, where: str, what: str) -> float:
    """A number; NaN for null, which stands for a loss that diverged."""
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(where, what, value, "a number")
    return float(value)


def _values(raw: object, keys: Iterable[str], where: str, what: str) -> Values:
    if not isinstance(raw, dict):
        raise _wrong(where, what, raw, "an object with " + ", ".join(keys))
    missing = [key for key in keys if key not in raw]
    if missing:
        raise UserError(f"{where}: {what} lacks {', '.join(missing)}: {AGAIN}")
    return {key: _number(value, where, f"{what}.{key}") for key, value in raw.items()}


def _rows(raw: Mapping[str, object], key: str, keys: Iterable[str], where: str) -> list[Values]:
    rows = raw.get(key, [])
    if not isinstance(rows, list):
        raise _wrong(where, key, rows, "a list")
    return [_values(row, keys, where, f"{key}[{i}]") for i, row in enumerate(rows)]


def _strings(raw: Mapping[str, object], key: str, where: str) -> dict[str, str]:
    value = raw.get(key) or {}
    if not isinstance(value, dict):
        raise _wrong(where, key, value, "an object")
    return {str(name): str(text) for name, text in value.items()}


def _settings(raw: Mapping[str, object], where: str) -> dict[str, object]:
    settings = raw.get("settings") or {}
    if not isinstance(settings, dict):
        raise _wrong(where, "settings", settings, "an object")
    return settings


def _flags(settings: Mapping[str, object], where: str) -> tuple[str, ...]:
    flags = settings.get("flags", [])
    if not isinstance(flags, list):
        raise _wrong(where, "settings.flags", flags, "a list")
    return tuple(map(str, flags))


def parse(raw: object, beside: Path, where: str) -> Record:
    """Check one JSON object and return the record.

    Args:
        beside: the run's own folder, or the archive that its files are packed in
        where: name of the record in messages

    Raises:
        UserError: a key is missing or of the wrong type
    """
    if not isinstance(raw, dict):
        raise _wrong(where, "the record", raw, "a JSON object")
    missing = [k for k in (*TEXTS, *COUNTS, "budget", "train", "marks") if k not in raw]
    if missing:
        raise UserError(f"{where}: the record lacks {', '.join(missing)}: {AGAIN}")
    for key in TEXTS:
        if not isinstance(raw[key], str):
            raise _wrong(where, key, raw[key], "text")
    for key in COUNTS:
        if isinstance(raw[key], bool) or not isinstance(raw[key], int):
            raise _wrong(where, key, raw[key], "a whole number")
    budget = _number(raw["budget"], where, "budget")
    marks = _rows(raw, "marks", MARK, where)
    updates = [mark["update"] for mark in marks]
    if not marks or updates != sorted(set(updates)):
        raise _wrong(where, "updates of marks", updates, "at least one, rising")
    if not budget > 0:
        raise _wrong(where, "budget", budget, "a share above 0")
    labels, settings = raw.get("labels") or {}, _settings(raw, where)
    if not isinstance(labels, dict):
        raise _wrong(where, "labels", labels, "an object")
    return Record(
        **{key: raw[key] for key in (*TEXTS, *COUNTS)},
        budget=budget,
        train=_values(raw["train"], TRAIN, where, "train"),
        marks=marks,
        signatures=_strings(raw, "signatures", where),
        files=Files(beside, key_of(raw)),
        source=where,
        versions=_strings(raw, "versions", where),
        tuning=_strings(raw, "tuning", where),
        resumed=str(raw.get("resumed") or ""),
        session=str(raw.get("session") or ""),
        flags=_flags(settings, where),
        alike={k: json.dumps(settings[k], sort_keys=True) for k in ALIKE if k in settings},
        curve=_rows(raw, "curve", ("update",), where),
        drift=_rows(raw, "drift", ("update", "length", "rarity"), where),
        drift_all=_values(raw.get("drift_all") or {}, (), where, "drift_all"),
        labels={
            str(name): _values(value, ("pairs", "trained", "considered"), where, f"labels.{name}")
            for name, value in labels.items()
        },
        text=json.dumps(raw, sort_keys=True),
    )


def _decode(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f"{where} is not JSON ({error}); expected one record: {AGAIN}") from error


def _read(path: Path) -> list[Record]:
    if path.name == RECORDS:
        lines = [(f"{path}:{i}", line) for i, line in enumerate(read_lines_of(path), 1)]
        return [parse(_decode(line, at), path.with_name(ARCHIVE), at) for at, line in lines]
    where = str(path)
    return [parse(_decode("\n".join(read_lines(path)), where), path.parent, where)]


def _paths(path: Path) -> list[Path]:
    """A record's file itself, or the files under a folder: packed ones first."""
    if not path.is_dir():
        return [path]
    packed = path / RECORDS
    found = [packed] if packed.is_file() else sorted(path.rglob("record.json"))
    if not found:
        raise UserError(
            f"{path} holds neither {RECORDS} nor record.json; expected the folder that "
            f"`python -m recipes.compare.run` wrote: run that first"
        )
    return found


def load(paths: Sequence[Path]) -> list[Record]:
    """Read all records; an exact copy of another one is left out."""
    records: dict[str, Record] = {}
    for record in (record for path in paths for file in _paths(path) for record in _read(file)):
        records.setdefault(record.text, record)
    if not records:
        where = ", ".join(map(str, paths))
        raise UserError(f"no record in {where}: run `python -m recipes.compare.run`")
    return list(records.values())
