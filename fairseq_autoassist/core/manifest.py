"""What a folder of features says about itself, and of which data it was made."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Mapping, Sequence, Union

import numpy as np

from ..errors import FeatureError

# 2: with `rarity`. 3: as 2, where scikit-learn before 1.4 had put values beside the wrong tokens.
FORMAT_VERSION = 3
MANIFEST_NAME = "manifest.json"
FEATURES_FOLDER = "autoassist"
_HASH_ROWS = 1 << 20  # sizes converted at a time, so that hashing needs no copy of all of them

PathLike = Union[str, Path]


@dataclass(frozen=True)
class Fingerprint:
    """What binds features to their data: number of pairs, and sha256 of dictionaries and sizes."""

    rows: int
    source_dict: str
    target_dict: str
    sizes: str

    def differences(self, expected: Fingerprint) -> str:
        """One phrase per field that differs, '' where all agree."""
        names = {
            "rows": "rows (number of pairs)",
            "source_dict": "source dictionary",
            "target_dict": "target dictionary",
            "sizes": "sizes (sentence lengths)",
        }
        phrases = []
        for key, name in names.items():
            found, wanted = getattr(self, key), getattr(expected, key)
            if found != wanted:
                short = (str(found)[:12], str(wanted)[:12])
                phrases.append(f"{name}: found {short[0]}, expected {short[1]}")
        return "; ".join(phrases)


def token_differences(found: Sequence[str], expected: Sequence[str]) -> str:
    """One phrase per side whose tokens differ, '' where both agree.

    Args:
        found, expected: sha256 of source and target tokens; empty: not known
    """
    phrases = []
    for side, name in enumerate(("source", "target")):
        mine, wanted = (
            str(hashes[side])[:12] if hashes else "none" for hashes in (found, expected)
        )
        if mine != wanted:
            phrases.append(f"tokens of the {name}: found {mine}, expected {wanted}")
    return "; ".join(phrases)


@dataclass(frozen=True)
class Manifest:
    """Everything needed to open and to judge a folder of features, kept as JSON beside the arrays.

    ``blocks`` and ``block_nonzeros`` give rows and non-zeros of each block, in row order.
    ``settings`` are scikit-learn's TfidfTransformer arguments. ``provenance`` says how the
    features came about (documents counted, hashes of the idf vector, of the source side's token
    counts behind ``rarity``, and of the tokens): shards that share one Assistant have the same
    ``provenance["idf"]``.
    """

    rows: int
    dimensions: int
    source_dimensions: int
    nnz: int
    blocks: tuple[int, ...]
    block_nonzeros: tuple[int, ...]
    fingerprint: Fingerprint
    subset: str
    source_lang: str
    target_lang: str
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    package_version: str = ""
    format_version: int = FORMAT_VERSION

    def save(self, folder: PathLike) -> None:
        """Write ``folder/manifest.json``."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)
        (Path(folder) / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")

    @property
    def tokens(self) -> list[str]:
        """sha256 of the source and the target tokens they were made of; empty: not known."""
        return list(self.provenance.get("tokens") or [])

    @classmethod
    def load(cls, folder: PathLike, command: str | None = None) -> Manifest:
        """Read ``folder/manifest.json``.

        Args:
            folder: of the features
            command: that mends it, for error messages; None: read off the path

        Raises:
            FeatureError: no such folder or file, unreadable JSON, another format version, or
                fields missing or inconsistent.
        """
        path = Path(folder) / MANIFEST_NAME
        mend = f"build them with: {command or mending_command(folder)}"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FeatureError(f"no features found: expected {path}; {mend}") from error
        except (OSError, ValueError) as error:
            raise FeatureError(f"cannot read {path}: {error}; {mend} --force") from error
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if version != FORMAT_VERSION:
            raise FeatureError(
                f"{path}: found features of format version {version!r}, expected "
                f"{FORMAT_VERSION}; {mend} --force"
            )
        try:
            return cls._from_json(raw)
        except (KeyError, TypeError, ValueError) as error:
            raise FeatureError(
                f"{path}: not a feature manifest ({error}); {mend} --force"
            ) from error

    @classmethod
    def _from_json(cls, raw: Mapping[str, Any]) -> Manifest:
        values = {f.name: raw[f.name] for f in fields(cls)}
        values["fingerprint"] = Fingerprint(**values["fingerprint"])
        for name in ("blocks", "block_nonzeros"):
            values[name] = tuple(int(n) for n in values[name])
        manifest = cls(**values)
        if sum(manifest.blocks) != manifest.rows:
            raise ValueError(f"blocks of {sum(manifest.blocks)} rows, expected {manifest.rows}")
        if len(manifest.blocks) != len(manifest.block_nonzeros):
            raise ValueError("blocks and block_nonzeros differ in length")
        return manifest


def fingerprint(
    source_dict_path: PathLike,
    target_dict_path: PathLike,
    source_sizes: np.ndarray,
    target_sizes: np.ndarray,
) -> Fingerprint:
    """Fingerprint of a data set as fairseq loads it.

    Args:
        source_dict_path, target_dict_path: ``dict.<lang>.txt`` files.
        source_sizes, target_sizes: integers (rows,), tokens of each sentence, EOS included:
            fairseq's ``dataset.src_sizes`` and ``dataset.tgt_sizes``.

    Raises:
        FeatureError: a dictionary is missing, or the two sides differ in length.
    """
    if len(source_sizes) != len(target_sizes):
        raise FeatureError(
            f"source and target must have the same number of sentences: found "
            f"{len(source_sizes)} and {len(target_sizes)}; run fairseq-preprocess again"
        )
    digest = hashlib.sha256()
    for sizes in (source_sizes, target_sizes):
        for start in range(0, len(sizes), _HASH_ROWS):
            digest.update(np.asarray(sizes[start : start + _HASH_ROWS], dtype="<i4").tobytes())
    return Fingerprint(
        rows=len(source_sizes),
        source_dict=_sha256_of_dictionary(source_dict_path),
        target_dict=_sha256_of_dictionary(target_dict_path),
        sizes=digest.hexdigest(),
    )


def _sha256_of_dictionary(path: PathLike) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise FeatureError(
            f"cannot read dictionary {path} ({error.strerror}): expected the dict.<lang>.txt that "
            "fairseq-preprocess writes into its --destdir"
        ) from error


def feature_folder(
    data_bin: PathLike, subset: str, source_lang: str, target_lang: str, root: str | None = None
) -> Path:
    """``DATA_BIN/autoassist/<subset>.<src>-<tgt>``; ``root`` replaces ``DATA_BIN/autoassist``."""
    base = Path(root) if root else Path(data_bin) / FEATURES_FOLDER
    return base / f"{subset}.{source_lang}-{target_lang}"


def build_command(
    data_bin: str,
    subset: str = "train",
    languages: tuple[str, str] | None = None,
    dest: PathLike | None = None,
) -> str:
    """The ``autoassist-tfidf`` command that builds the features of a data-bin.

    Args:
        data_bin: or shards ``a:b``
        subset: of the data-bin
        languages: source and target; None: left to the file names
        dest: None: inside the data-bin
    """
    words = ["autoassist-tfidf", data_bin]
    words += ["--source-lang", languages[0], "--target-lang", languages[1]] if languages else []
    words += [] if subset == "train" else ["--train-subset", subset]
    words += [] if dest is None else ["--dest", str(dest)]
    return " ".join(map(shlex.quote, words))


def mending_command(folder: PathLike) -> str:
    """The ``autoassist-tfidf`` command that builds ``folder``, as far as its path tells."""
    folder = Path(folder)
    data_bin, dest = _place(folder)
    named = re.fullmatch(r"(.+)\.([^.-]+)-([^.-]+)", folder.name)
    if not named:
        return build_command(data_bin, dest=dest)
    subset, source, target = named.groups()
    return build_command(data_bin, subset, (source, target), dest)


def side_command(program: str, build: str) -> str:
    """The command that writes something beside the features that ``build`` makes: a program, and
    the same data-bins, languages, subset and place."""
    return shlex.join([program, *shlex.split(build)[1:]])


def _place(folder: Path) -> tuple[str, Path | None]:
    """The data-bin of a folder of features and its ``--dest``, None where it lies inside."""
    by_default = folder.parent.name == FEATURES_FOLDER
    return ("DATA_BIN", folder.parent) if not by_default else (str(folder.parent.parent), None)


def package_version() -> str:
    """Version of this package, whatever name ``--user-dir`` gave it."""
    root = sys.modules.get(__name__.rsplit(".", 2)[0])
    return str(getattr(root, "__version__", "unknown"))
