"""Tables of the report, as Markdown with aligned columns."""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np
from tabulate import tabulate  # type: ignore[import-untyped]

from recipes.compare.records import Record
from recipes.compare.sections import BASELINE, Cell, Section
from recipes.compare.significance import Tests
from recipes.compare.statistics import (
    MARGIN,
    Estimate,
    difference,
    end,
    mean_curve,
    ratio,
    reach,
    time_ratio,
)


def number(value: float | None, digits: int = 2) -> str:
    """A number with fixed digits; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def yes(value: bool | None) -> str:
    """`yes` or `no`; a dash for None."""
    return "-" if value is None else "yes" if value else "no"


def interval(value: Estimate | None, sign: str = "", digits: int = 2) -> str:
    """Format "mean [low, high]", or "mean (1 seed)" without an interval."""
    if value is None:
        return "-"
    mean, *bounds = ("" if v is None else f"{v:{sign}.{digits}f}" for v in value[:3])
    return f"{mean} (1 seed)" if value.low is None else f"{mean} [{', '.join(bounds)}]"


def table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    """Format rows; empty where there are none."""
    align = ["left", *["right"] * (len(headers) - 1)]
    made = tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)
    return made if rows else ""


def _mean(cell: Cell, key: str, unit: float = 1.0) -> float | None:
    values = [r.train[key] for r in cell.records if key in r.train]
    return float(np.mean(values)) / unit if values else None


def costs(section: Section) -> str:
    """Cost of each cell, also as ratios ("x") to the baseline's whole run.

    The ratio of wall times includes making the features; their minutes are a column where known.
    """
    base = section.baseline
    features = any(r.features_s for r in section.records)
    rows = []
    for cell in section.cells:
        one = len({r.condition for r in cell.records}) == 1  # no mean over several conditions
        row = [cell.arm, number(cell.budget), str(len(cell.records))]
        row += [f"{np.mean([r.updates for r in cell.records]):,.0f}"]
        for key in ("tokens", "padded_tokens"):
            row += [number(_mean(cell, key, 1e6))]
            row += [number(ratio(cell, base, key) if base else None)]
        for key in ("wall_s", "cpu_s"):
            row += [number(_mean(cell, key, 60), 1) if one else "mixed"]
            row += [number(time_ratio(cell, base, key) if base else None)]
        row += [number(_mean(cell, "features_s", 60), 1)] if features else []
        rows.append([*row, number(_mean(cell, "keep")), number(_mean(cell, "passes"), 1)])
    headers = ["arm", "budget", "seeds", "updates", "Mtokens", "x", "Mpadded", "x"]
    headers += ["wall min", "x", "CPU min", "x", *(["features min"] if features else [])]
    return table(rows, [*headers, "keep", "passes"])


def quality(section: Section) -> str:
    """BLEU with its interval over seeds and paired differences; other figures as means.

    "to random" is the difference to the cell's control."""
    base = section.baseline
    rows = []
    for cell in section.cells:
        lead = difference(cell, base) if cell is not base else None
        short = section.cell(BASELINE, cell.budget)
        plain = short if short not in (base, cell) else None
        row = [cell.arm, number(cell.budget), str(len(cell.records)), interval(end(cell, "BLEU"))]
        row += [interval(lead, "+"), yes(lead.above(-MARGIN) if lead else None)]
        row += [interval(difference(cell, section.control(cell)), "+")]
        row += [interval(difference(cell, plain), "+")]
        for key, digits in (("valid_BLEU", 2), ("chrF2", 2), ("valid_loss", 3), ("slice_loss", 3)):
            value = end(cell, key)
            row += [number(value.mean if value else None, digits)]
        rows.append(row)
    headers = ["arm", "budget", "seeds", "BLEU [95%]", "to uniform 1.00", "non-inf."]
    headers += ["to random", "to uniform, same budget"]
    headers += ["valid BLEU", "chrF2", "valid loss", "slice loss"]
    return table(rows, headers)


def reaching(section: Section) -> str:
    """Tokens and time to the baseline's final BLEU, as ratios to its whole run."""
    base = section.baseline
    if base is None:
        return ""
    rows = []
    for cell in section.cells:
        found = reach(cell, base)
        row = [cell.arm, number(cell.budget), number(found.best), number(found.target)]
        if found.tokens is None:
            row += ["not reached", "not reached"]
        else:
            row += [number(found.tokens), number(found.wall)]
        rows.append([*row, f"{found.seeds} of {len(cell.records)}"])
    headers = ["arm", "budget", "best BLEU", "target", "tokens x", "wall x", "seeds there"]
    return table(rows, headers)


def by_tokens(section: Section) -> str:
    """BLEU at the token counts of the baseline's marks, up to each cell's end."""
    if section.baseline is None:
        return ""
    keys = ["tokens", "BLEU"]
    grid = mean_curve([r.marks for r in section.baseline.records], keys)["tokens"]
    rows = []
    for cell in section.cells:
        curve = mean_curve([r.marks for r in cell.records], keys)
        if len(curve["tokens"]):
            at = np.interp(grid, curve["tokens"], curve["BLEU"], left=np.nan, right=np.nan)
            shown = [number(float(v) if np.isfinite(v) else None) for v in at]
            rows.append([cell.arm, number(cell.budget), *shown])
    return table(rows, ["arm", "budget", *(f"{tokens / 1e6:.2f}M" for tokens in grid)])


def significance(tests: Tests) -> str:
    """Paired bootstrap of each cell against another one."""
    rows = [
        [*names, str(test.seeds), f"{test.mean:+.2f} [{test.low:+.2f}, {test.high:+.2f}]"]
        for names, test in tests.items()
    ]
    return table(rows, ["run", "against", "seeds", "BLEU difference [95% over sentences]"])


def labels(section: Section) -> str:
    """Share of considered pairs that were trained on, by label; "" where there are no labels."""
    pairs = {name: count["pairs"] for r in section.records for name, count in r.labels.items()}
    cells = [cell for cell in section.cells if any(r.labels for r in cell.records)]
    rows = [
        [name, f"{pairs[name]:,.0f}", *(number(kept_share(name, c.records), 3) for c in cells)]
        for name in sorted(pairs)
    ]
    return table(rows, ["label", "pairs", *(cell.name for cell in cells)])


def kept_share(label: str, records: Sequence[Record]) -> float | None:
    """Share of considered pairs that were trained on, over all seeds."""
    trained = considered = 0.0
    for record in records:
        count = record.labels.get(label, {})
        trained += count.get("trained", 0.0)
        considered += _decided(record) * count.get("considered", 0.0)
    return trained / considered if considered else None


def _decided(record: Record) -> float:
    """Share of the pairs counted as considered that did not wait in buckets when the run ended.

    Kept pairs that still wait count as considered too. Where whole passes are planned, a pass is
    considered at once and `passes` counts the pairs in batches, so none of them waits.
    """
    train = record.train
    passes, considered = train.get("passes", 0.0), train.get("considered", 0.0)
    pairs, kept = train.get("pairs"), train.get("keep", 1.0) * considered
    if pairs is None or not kept:
        return 1.0
    whole = passes * considered / math.ceil(passes) if passes else 0.0  # pairs in batches
    return 1.0 if math.isclose(whole, pairs, rel_tol=1e-4) else min(1.0, pairs / kept)
