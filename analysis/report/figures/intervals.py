"""Charts of estimates with their intervals: in rows, and against a model's size."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.report.figures.matrix import LABEL, PALETTE, SMALL, Chart


def rows(frame: pd.DataFrame, title: str) -> Chart:
    """One small chart per `panel`, all on the same scale; in each a row per `label` with `value`, `low` and `high`."""
    base = alt.Chart(frame).encode(
        y=alt.Y("label:N", sort=None, axis=LABEL),
        tooltip=["panel:N", "label:N", *[alt.Tooltip(f"{name}:Q", format=".3f") for name in ("value", "low", "high")]],
    )
    lines = base.mark_rule(strokeWidth=2, color=PALETTE[0]).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    points = base.mark_point(filled=True, size=50, color=PALETTE[0]).encode(x="value:Q")
    small = alt.layer(lines, points).properties(width=2 * SMALL, height=alt.Step(18))
    return small.facet(alt.Facet("panel:N", sort=None, title=None), columns=2)


def by_size(frame: pd.DataFrame, title: str) -> Chart:
    """`value` with `low` and `high` against `parameters` (log axis), a line per `series`, a small chart per `panel`."""
    tips = ["panel:N", "agent:N", "series:N", alt.Tooltip("parameters:Q", format=".3s")]
    tips += [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("value", "low", "high")]
    base = alt.Chart(frame).encode(
        x=alt.X("parameters:Q", title="parameters", scale=alt.Scale(type="log", nice=False, padding=20),
                axis=alt.Axis(format=".2s", values=sorted(frame["parameters"].unique().tolist()))),
        color=alt.Color("series:N", sort=None, title=None, scale=alt.Scale(range=PALETTE)),
        shape=alt.Shape("series:N", sort=None, title=None),
        tooltip=tips,
    )  # fmt: skip
    ends = base.mark_rule().encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    line = base.mark_line().encode(y="value:Q")
    points = base.mark_point(filled=True, size=60).encode(y="value:Q")
    small = alt.layer(ends, line, points).properties(width=2 * SMALL, height=200)
    return small.facet(alt.Facet("panel:N", sort=None, title=None), columns=2)
