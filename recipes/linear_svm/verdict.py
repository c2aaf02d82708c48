"""Verdicts on the claims about the solvers, each with the data sets on which it holds."""

from __future__ import annotations

from recipes.linear_svm.records import GAPS, Records, end, median_reach, ratio
from recipes.linear_svm.solvers import BASELINE, SOLVERS

AIM = 1e-2  # gap of the claim about shrinking
FEWER = 0.7  # largest ratio to Pegasos's updates for the claim
SLOWER = 5.0  # least ratio to Pegasos's time for exact importance sampling


def shrinking_line(records: Records, solver: str) -> str:
    """Line that names the data on which a solver needs at most FEWER of the updates to AIM."""
    held: list[str] = []
    failed: list[str] = []
    for fact in records.facts:
        found = ratio(records, fact["data"], solver, "updates", AIM)
        shown = f"{fact['data']} " + ("not reached" if found is None else f"{found:.2f}")
        (held if found is not None and found <= FEWER else failed).append(shown)
    word = f"holds on {len(held)} of {len(held) + len(failed)} data sets"
    return (
        f"- {SOLVERS[solver].title}, at most {FEWER:g} of the updates to {AIM:g}: {word}. "
        f"Yes: {'; '.join(held) or 'none'}. No: {'; '.join(failed) or 'none'}."
    )


def importance_lines(records: Records) -> list[str]:
    """Lines on updates and time of exact importance sampling, at the lowest gap that it reaches."""
    lines = []
    for fact in records.facts:
        data = fact["data"]
        reached = [gap for gap in GAPS if ratio(records, data, "exact", "updates", gap) is not None]
        if not reached:
            spent = end(records, data, "exact", "seconds")
            base = median_reach(records.of(data, BASELINE), "seconds", GAPS[0]) or float("nan")
            lines.append(
                f"- importance, exact, on {data}: {GAPS[0]:g} not reached in {spent / base:,.0f} "
                "times Pegasos's time."
            )
            continue
        gap = min(reached)
        updates = ratio(records, data, "exact", "updates", gap) or float("nan")
        seconds = ratio(records, data, "exact", "seconds", gap) or float("nan")
        word = "holds" if updates < 1.0 and seconds >= SLOWER else "does not hold"
        lines.append(
            f"- importance, exact, on {data} to {gap:g}, fewer updates and at least {SLOWER:g} "
            f"times the time: {word} ({updates:.2f} of the updates, {seconds:,.0f} times the time)."
        )
    return lines


def verdict_lines(records: Records) -> list[str]:
    """Lines on all claims, one each."""
    shrinking = [name for name in SOLVERS if name.startswith(("loss", "gradient"))]
    return [
        *(shrinking_line(records, name) for name in shrinking),
        *importance_lines(records),
    ]
