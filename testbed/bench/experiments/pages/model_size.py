"""The page of a study of model size: the ceiling, and how much of it was learned."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings import number
from analysis.report.figures import intervals
from analysis.report.headline import MOST_CLAIMS, Claim, Cost, Headline, shortened
from analysis.report.page import Figure, PageTable, Section
from analysis.report.write import write_page
from testbed.bench.experiments.model_size import SERIES
from testbed.bench.experiments.pages.claims import claim

KINDS = {
    "ceiling": "right skill − no memory",
    "learned": "what it learned − no memory",
    "growth": "ceiling, largest − smallest",
}
MEASURED = (
    "Every agent is run by itself on the environment seeds of all others: without memory, with each game's right "
    "skill given (a pool of that one skill, frozen), with the other games' skills, and with a pool that it learned. "
    "The ceiling is the difference that the right skill makes, seed by seed; what was learned is compared by "
    "learning run. Intervals of returns are for one at a time, those of differences hold together at 95 % "
    "(Bonferroni). The share of the ceiling that was reached has Fieller's interval over learning runs, and is not "
    "given where the ceiling is not above 0."
)
CONFOUNDED = "Models of several sizes also differ in family, data and training: a difference is not one of size alone."


def write_model_size(
    returns: pd.DataFrame, gains: pd.DataFrame, costs: Sequence[Cost | None], title: str, out: Path
) -> None:
    """report.html and its headline under `out`. `returns`, `gains`: of `testbed.bench.experiments.model_size`."""
    chart = Figure(
        "size",
        "Return by model size",
        "95 % intervals over environment seeds; of what was learned over learning runs.",
        lambda: intervals.by_size(returns.rename(columns={"task": "panel"}), "return"),
    )
    tables = (_differences(gains), _returns(returns))
    section = Section("size", "The ceiling by model size", (CONFOUNDED,), tables=tables, charts=(chart,))
    out.mkdir(parents=True, exist_ok=True)
    sections = [section, Section("measured", "How it was measured", (MEASURED,))]
    subtitle = "What a right skill is worth in the hands of each model, and how much of that it learns."
    write_page(title, subtitle, sections, out, top_of(returns, gains, costs))


def top_of(returns: pd.DataFrame, gains: pd.DataFrame, costs: Sequence[Cost | None]) -> Headline:
    """Ceilings first, then what was learned, as far as there is room."""
    rows = sorted(gains.to_dict("records"), key=lambda row: list(KINDS).index(row["kind"]))
    claims = tuple(claim(_name(row), row, "value") for row in rows)
    agents = returns.drop_duplicates("agent")
    sizes = ", ".join(f"{row['agent']} ({size(row['parameters'])})" for row in agents.to_dict("records"))
    seeds = returns[returns["series"] != SERIES[-1]]["n"]
    runs = returns[returns["series"] == SERIES[-1]]["n"]
    learned = f", {runs.min()} learning runs" if len(runs) else ", nothing learned"
    return Headline(
        grids=(),
        claims=claims[:MOST_CLAIMS],
        decided=shortened(_told(claims, rows, {"better", "worse"}) or "nothing."),
        open=shortened(_told(claims, rows, {"undecided"}) or "none of these."),
        basis=shortened(
            f"{sizes}; {seeds.min()} environment seeds a cell{learned}. Ceiling: right skill − no memory; learned: "
            f"own pool − no memory; growth: ceiling of the largest − smallest model. {CONFOUNDED} Intervals hold "
            "together at 95 %."
        ),
        cost=_cost(costs),
        note=f"{MOST_CLAIMS} of {len(claims)} differences are drawn." if len(claims) > MOST_CLAIMS else "",
    )


def size(parameters: float) -> str:
    """As 135M or 1.5B."""
    return f"{parameters / 1e9:.2g}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M"


def _name(row: Mapping[Hashable, Any]) -> str:
    return " ".join(filter(None, ("" if row["kind"] == "growth" else row["agent"], f"{row['task']}: {row['kind']}")))


def _told(claims: Sequence[Claim], rows: Sequence[Mapping[Hashable, Any]], verdicts: set[str]) -> str:
    return "; ".join(
        f"{each.name} {each.text}{_share(row)}"
        for each, row in zip(claims, rows, strict=True)
        if each.verdict in verdicts
    )


def _share(row: Mapping[Hashable, Any]) -> str:
    """How much of the ceiling was reached, where that is known."""
    if not np.isfinite(row["reached"]):
        return ""
    low, high = row["reached_low"], row["reached_high"]
    ends = f" [{number(low, 2)}, {number(high, 2)}]" if np.isfinite(low) else ""
    return f" ({row['reached']:.2f}{ends} of its ceiling)"


def _differences(gains: pd.DataFrame) -> PageTable:
    body = tuple(
        (row["task"], row["agent"], size(row["parameters"]), KINDS[row["kind"]],
         f"{row['value']:+.3f} [{number(row['low'])}, {number(row['high'])}]", str(row["n"]),
         _share(row).strip(" ()") or "—")
        for row in gains.to_dict("records")
    )  # fmt: skip
    head = ("task", "agent", "size", "difference", "in return [95 % together]", "n", "reached")
    note = "n environment seeds; of what was learned, learning runs"
    return PageTable("Ceilings, and what was learned", head, body, note, True)


def _returns(returns: pd.DataFrame) -> PageTable:
    body = tuple(
        (row["task"], row["agent"], size(row["parameters"]), row["series"],
         f"{row['value']:.3f} [{number(row['low'])}, {number(row['high'])}]", str(row["n"]))
        for row in returns.to_dict("records")
    )  # fmt: skip
    return PageTable("Returns", ("task", "agent", "size", "memory", "return [95 %]", "n"), body)


def _cost(costs: Sequence[Cost | None]) -> str:
    known = [each for each in costs if each is not None]
    if not known:
        return "not counted."
    return Cost(sum(each.tokens for each in known), sum(each.hours or 0.0 for each in known)).sentence
