"""Summary table: updates and time to a gap of AIM on all data sets, as ratios to Pegasos."""

from __future__ import annotations

from recipes.common.markdown import table
from recipes.linear_svm.records import Records, median_reach, ratio, solvers
from recipes.linear_svm.report import shown
from recipes.linear_svm.solvers import BASELINE, SOLVERS
from recipes.linear_svm.verdict import AIM


def summary_table(records: Records) -> list[str]:
    """Lines of the table: one row for each data set, "updates / time" for each solver."""
    others = [name for name in solvers(records) if name != BASELINE]
    head = ["data", "rows with a loss at w*", "Pegasos's updates"]
    head += [SOLVERS[name].title for name in others]
    rows = []
    for fact in records.facts:
        data = fact["data"]
        cells = []
        for name in others:
            parts = [ratio(records, data, name, key, AIM) for key in ("updates", "seconds")]
            cells.append(" / ".join(map(shown, parts)) if None not in parts else shown(None))
        base = shown(median_reach(records.of(data, BASELINE), "updates", AIM), ".0f")
        rows.append([data, f"{100 * fact['violated']:.0f}%", base, *cells])
    seeds = {curve["seed"] for curve in records.curves}
    return [*table(head, rows), "", f"Medians over {len(seeds)} seeds."]
