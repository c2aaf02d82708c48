"""Made-up records in the format of recipes/compare, with known figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Sequence

from recipes.compare.records import parse
from recipes.compare.sections import Section, sections

FULL = 1000  # updates of the full budget
SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"


def marks(
    bleu: Sequence[float], updates: int, tokens: float = 100.0, seconds: float = 1.0
) -> list[dict[str, float]]:
    """Evenly spaced marks; `tokens` and `seconds` are per update."""
    found = []
    for i, value in enumerate(bleu, 1):
        update = updates * i // len(bleu)
        found.append(
            {
                "update": update,
                "tokens": update * tokens,
                "padded_tokens": update * tokens * 2,
                "wall_s": update * seconds,
                "valid_loss": 4.0 - value / 20,
                "slice_loss": 3.9 - value / 20,
                "BLEU": value,
                "chrF2": value + 20,
                "valid_BLEU": value + 1,
            }
        )
    return found


def record(
    arm: str = "uniform",
    bleu: Sequence[float] = (10.0, 20.0, 28.0, 30.0),
    budget: float = 1.0,
    seed: int = 1,
    seconds: float = 1.0,
    **changes: Any,
) -> dict[str, Any]:
    """Make a record; `changes` replace whole keys."""
    corpus = changes.get("corpus", "multi30k")
    architecture = changes.get("architecture", "transformer")
    updates = round(FULL * budget)
    rows = marks(bleu, updates, seconds=seconds)
    made = {
        "run": f"{corpus}.{architecture}.{arm}.b{round(100 * budget):03d}.s{seed}",
        "corpus": corpus,
        "architecture": architecture,
        "arm": arm,
        "budget": budget,
        "seed": seed,
        "updates": updates,
        "settings": {"flags": []},
        "versions": {"python": "3.11.2", "torch": "2.11.0"},
        "commit": "a" * 7,
        "device": "cpu A",
        "threads": 1,
        "jobs": 2,
        "train": {
            "tokens": rows[-1]["tokens"],
            "padded_tokens": rows[-1]["padded_tokens"],
            "updates": updates,
            "wall_s": rows[-1]["wall_s"],
            "train_wall_s": 0.9 * rows[-1]["wall_s"],
            "cpu_s": 1.5 * rows[-1]["wall_s"],
        },
        "signatures": {"BLEU": SIGNATURE, "chrF2": "nrefs:1|nc:6"},
        "marks": rows,
        "curve": [],
        "hypotheses": "test.hyp.txt",
    }
    return {**made, **changes}


def grouped(*raw: dict[str, Any]) -> list[Section]:
    """Sections of these records."""
    return sections([parse(r, Path("runs") / r["run"], r["run"]) for r in raw])


def write_runs(root: Path, records: Sequence[dict[str, Any]]) -> Path:
    """Write runs/RUN/record.json for each under `root`; returns `root`."""
    for made in records:
        folder = root / "runs" / made["run"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "record.json").write_text(json.dumps(made), encoding="utf-8")
    return root


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
