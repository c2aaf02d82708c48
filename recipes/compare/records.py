"""Read and check the records of runs, trained or packed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Sequence

from preprocess.text import UserError, read_lines
from recipes.compare.arms import ARMS
from recipes.compare.packed import ARCHIVE, RECORDS, Files, key_of, read_lines_of
from recipes.multi30k.prepare import LANGS

Values = Dict[str, float]
TEXTS = ("run", "corpus", "architecture", "arm", "commit", "device")
COUNTS = ("seed", "updates", "threads", "jobs")
TRAIN = ("tokens", "padded_tokens", "wall_s", "cpu_s")
MARK = ("update", "tokens", "wall_s", "valid_loss", "slice_loss", "BLEU", "chrF2", "valid_BLEU")
LABEL = ("pairs", "trained", "considered")
ALIKE = ("beam", "lenpen", "max_len", "sha256")  # of the settings: decoding, and the corpus' files
AGAIN = "remove it and run `python -m recipes.compare.run` again"


class Condition(NamedTuple):
    """Conditions of a measured time: only times under equal conditions are comparable."""

    device: str
    threads: int
    jobs: int  # runs side by side on the machine
    tuning: str  # variables of the environment, as JSON
    resumed: str  # all conditions of a run that resumed under another one
    session: str  # of the machine, since two of one kind may differ in speed

    @property
    def shared(self) -> bool:
        """Whether runs shared a GPU, so that their times depend on one another."""
        return self.jobs > 1 and self.device.startswith("NVIDIA")


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
    condition: Condition
    train: Values
    marks: list[Values]  # in order of updates; the last is the end of the run
    signatures: Mapping[str, str]  # metric -> signature of sacreBLEU
    files: Files  # translations and counts
    source: str  # file (and line) it was read from
    versions: Mapping[str, str]
    flags: tuple[str, ...]  # of fairseq-train, those that name no path
    alike: Mapping[str, str]  # what must be equal in runs that are compared
    curve: list[Values]
    labels: Mapping[str, Values]
    text: str  # the JSON with sorted keys; equal for equal records

    @property
    def languages(self) -> tuple[str, str]:
        """Source and target by the flags; English to German by default."""
        told = dict(zip(self.flags, self.flags[1:]))
        return told.get("--source-lang", LANGS[0]), told.get("--target-lang", LANGS[1])

    @property
    def features_s(self) -> float:
        """Seconds of making the features that its choice reads; 0 in older records."""
        arm = ARMS.get(self.arm)
        if arm is not None and not arm.features:
            return 0.0  # older records count those of TF-IDF for `spl` and `infobatch`
        return self.train.get("features_s", 0.0)

    @property
    def end(self) -> Values:
        """Measurements of the last mark."""
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


def _object(value: Any, where: str, what: str) -> dict[str, Any]:
    """A JSON object; empty for null."""
    if not isinstance(value or {}, dict):
        raise _wrong(where, what, value, "an object")
    return dict(value or {})


def _texts(value: object, where: str, what: str) -> dict[str, str]:
    return {name: str(text) for name, text in _object(value, where, what).items()}


def _values(value: object, keys: Sequence[str], where: str, what: str) -> Values:
    found = _object(value, where, what)
    missing = [key for key in keys if key not in found]
    if missing:
        raise UserError(f"{where}: {what} lacks {', '.join(missing)}: {AGAIN}")
    return {key: _number(each, where, f"{what}.{key}") for key, each in found.items()}


def _list(value: object, where: str, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(where, what, value, "a list")
    return value


def _rows(raw: Mapping[str, Any], key: str, keys: Sequence[str], where: str) -> list[Values]:
    rows = _list(raw.get(key, []), where, key)
    return [_values(row, keys, where, f"{key}[{i}]") for i, row in enumerate(rows)]


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
    settings = _object(raw.get("settings"), where, "settings")
    labels = _object(raw.get("labels"), where, "labels").items()
    tuning = json.dumps(_texts(raw.get("tuning"), where, "tuning"), sort_keys=True)
    resumed, session = (str(raw.get(key) or "") for key in ("resumed", "session"))
    signatures = _texts(raw.get("signatures"), where, "signatures")
    alike = {key: json.dumps(settings[key], sort_keys=True) for key in ALIKE if key in settings}
    return Record(
        **{key: raw[key] for key in (*TEXTS, "seed", "updates")},
        budget=budget,
        condition=Condition(raw["device"], raw["threads"], raw["jobs"], tuning, resumed, session),
        train=_values(raw["train"], TRAIN, where, "train"),
        marks=marks,
        signatures=signatures,
        files=Files(beside, key_of(raw)),
        source=where,
        versions=_texts(raw.get("versions"), where, "versions"),
        flags=tuple(map(str, _list(settings.get("flags", []), where, "settings.flags"))),
        alike={**alike, "signature of BLEU": signatures.get("BLEU", "none")},
        curve=_rows(raw, "curve", ("update",), where),
        labels={name: _values(each, LABEL, where, f"labels.{name}") for name, each in labels},
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
