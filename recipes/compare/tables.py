"""Tables of the report, as Markdown with aligned columns."""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np
from tabulate import tabulate  # type: ignore[import-untyped]

from recipes.compare.acceptance import Answer, answers
from recipes.compare.records import Record
from recipes.compare.sections import BASELINE, Cell, Section
from recipes.compare.significance import Tests
from recipes.compare.statistics import (
    Estimate,
    comparable,
    difference,
    end,
    mean_curve,
    ratio,
    reach,
)
from recipes.compare.statistics import time_ratio as of_time


def number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def yes(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "no"


def interval(value: Estimate | None, sign: str = "", digits: int = 2) -> str:
    """Format "mean [low, high]", or "mean (1 seed)" without an interval."""
    if value is None:
        return "-"
    form = f"{{:{sign}.{digits}f}}"
    if value.low is None or value.high is None:
        return f"{form.format(value.mean)} (1 seed)"
    return " ".join(
        [form.format(value.mean), f"[{form.format(value.low)}, {form.format(value.high)}]"]
    )


def table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    align = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def _mean(cell: Cell, key: str) -> float | None:
    values = [r.train[key] for r in cell.records if key in r.train]
    return float(np.mean(values)) if values else None


def _scaled(cell: Cell, key: str, unit: float) -> float | None:
    value = _mean(cell, key)
    return None if value is None else value / unit


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
            row += [
                number(_scaled(cell, key, 1e6)),
                number(ratio(cell, base, key) if base else None),
            ]
        for key in ("wall_s", "cpu_s"):
            row += [number(_scaled(cell, key, 60), 1) if one else "mixed"]
            row += [number(of_time(cell, base, key) if base else None)]
        row += [number(_scaled(cell, "features_s", 60), 1)] if features else []
        rows.append([*row, number(_mean(cell, "keep")), number(_mean(cell, "passes"), 1)])
    headers = ["arm", "budget", "seeds", "updates", "Mtokens", "x", "Mpadded", "x"]
    headers += ["wall min", "x", "CPU min", "x", *(["features min"] if features else [])]
    return table(rows, [*headers, "keep", "passes"])


def quality(section: Section) -> str:
    """BLEU with its interval over seeds and paired differences; other figures as means.

    "to random" is the difference to the cell's control."""
    base = section.baseline
    known = {answer.cell.name: answer for answer in answers(section)}
    rows = []
    for cell in section.cells:
        answer = known.get(cell.name)
        control = section.control(cell)
        row = [cell.arm, number(cell.budget), str(len(cell.records)), interval(end(cell, "BLEU"))]
        row += [interval(difference(cell, base), "+") if base and cell is not base else "-"]
        row += [yes(answer.non_inferior) if answer else "-"]
        row += [interval(difference(cell, control), "+") if control else "-"]
        short = section.cell(BASELINE, cell.budget)
        plain = short if short not in (base, cell) else None
        row += [interval(difference(cell, plain), "+") if plain else "-"]
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
        there = found.tokens is not None
        alike = bool(comparable(cell, base))
        row = [cell.arm, number(cell.budget), number(found.best), number(found.target)]
        row += [number(found.tokens) if there else "not reached"]
        row += [("-" if not alike else number(found.wall)) if there else "not reached"]
        rows.append([*row, f"{found.seeds} of {len(cell.records)}"])
    headers = ["arm", "budget", "best BLEU", "target", "tokens x", "wall x", "seeds there"]
    return table(rows, headers)


def by_tokens(section: Section, key: str = "BLEU") -> str:
    """BLEU at the token counts of the baseline's marks, up to each cell's end."""
    base = section.baseline
    if base is None:
        return ""
    grid = mean_curve([r.marks for r in base.records], ["tokens", key])["tokens"]
    rows = []
    for cell in section.cells:
        curve = mean_curve([r.marks for r in cell.records], ["tokens", key])
        if len(curve["tokens"]):
            at = np.interp(grid, curve["tokens"], curve[key], left=np.nan, right=np.nan)
            shown = [number(float(v) if np.isfinite(v) else None) for v in at]
            rows.append([cell.arm, number(cell.budget), *shown])
    return table(rows, ["arm", "budget", *(f"{tokens / 1e6:.2f}M" for tokens in grid)])


def significance(tests: Tests) -> str:
    """Paired bootstrap of every seed, and the number of seeds that are better or worse."""
    rows = []
    for (cell, base), test in tests.items():
        pairs, (low, high) = test.pairs, test.spread
        better = sum(pair.low > 0 for pair in pairs)
        worse = sum(pair.high < 0 for pair in pairs)
        each = ", ".join(
            f"{pair.seed}: {pair.difference:+.2f} [{pair.low:+.2f}, {pair.high:+.2f}]"
            for pair in pairs
        )
        row = [cell, base, each, f"{better} of {len(pairs)}", f"{worse} of {len(pairs)}"]
        rows.append([*row, f"{test.mean:+.2f} [{low:+.2f}, {high:+.2f}]"])
    headers = ["run", "against", "seed: BLEU difference [95% over sentences]", "better", "worse"]
    return table(rows, [*headers, "mean [95% over sentences]"])


def acceptance(sections: Sequence[Section]) -> str:
    """Acceptance of every cell with a baseline; may be empty."""
    found = [answer for section in sections for answer in answers(section)]
    headers = ["corpus, architecture", "arm", "budget", "tokens x", "wall x", "BLEU to uniform"]
    headers += ["non-inf.", "saves", "BLEU to random", "tokens to random", "better than random"]
    return table([[_section(a.section), *_answer(a)] for a in found], headers) if found else ""


def _section(section: Section) -> str:
    device = f" ({section.device})" if section.device else ""
    return f"{section.corpus} {section.architecture} {section.updates:,}{device}"


def _answer(answer: Answer) -> list[str]:
    row = [answer.cell.arm, number(answer.cell.budget), number(answer.tokens, 3)]
    row += [number(answer.wall, 3)]
    row += [interval(answer.bleu, "+"), yes(answer.non_inferior), yes(answer.saves)]
    row += [interval(answer.random, "+"), number(answer.random_tokens, 3)]
    return [*row, yes(answer.over_random)]


def weighted(cell: Cell, key: str) -> float | None:
    """Mean of a drift figure over runs and intervals, in units of all training pairs' mean.

    An interval's weight is its number of updates.
    """
    values = []
    for record in cell.records:
        whole = record.drift_all.get(key)
        rows = [row for row in record.drift if math.isfinite(row[key])]
        if whole and rows:
            spans = np.diff([0.0, *(row["update"] for row in rows)])
            values.append(np.average([row[key] for row in rows], weights=spans) / whole)
    return float(np.mean(values)) if values else None


def drift(section: Section) -> str:
    """Length and rarity of what was trained on, in units of all pairs; "" where not recorded."""
    rows = []
    for cell in section.cells:
        length, rarity = (weighted(cell, key) for key in ("length", "rarity"))
        if length is not None or rarity is not None:
            rows.append([cell.arm, number(cell.budget), number(length, 3), number(rarity, 3)])
    headers = ["arm", "budget", "target length x", "source rarity x"]
    return table(rows, headers) if rows else ""


def labels(section: Section) -> str:
    """Share of considered pairs that were trained on, by label; "" where there are no labels."""
    names = sorted({name for r in section.records for name in r.labels})
    if not names:
        return ""
    cells = [cell for cell in section.cells if any(r.labels for r in cell.records)]
    rows = []
    for name in names:
        found = [r.labels[name] for c in cells for r in c.records if name in r.labels]
        shares = [number(kept_share(name, c.records), 3) for c in cells]
        rows.append([name, f"{found[0]['pairs']:,.0f}", *shares])
    return table(rows, ["label", "pairs", *(cell.name for cell in cells)])


def kept_share(label: str, records: Sequence[Record]) -> float | None:
    """Share of considered pairs that were trained on, over all seeds.

    Kept pairs that still wait in buckets at the end count as considered too. So considered pairs
    are scaled by the share of kept pairs that were trained on.
    """
    trained = considered = 0.0
    for record in records:
        count, train = record.labels.get(label, {}), record.train
        kept = train.get("keep", 1.0) * train.get("considered", 0.0)
        done = min(1.0, train.get("pairs", kept) / kept) if kept else 1.0
        trained += count.get("trained", 0.0)
        considered += done * count.get("considered", 0.0)
    return trained / considered if considered else None
