"""Charts of estimates with their intervals: in rows, and against a model's size."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.report.figures.matrix import LABEL, PALETTE, SMALL, Chart

DODGE = 1.06
"""Factor between the places of two series on a log axis."""
BILLIONS = "replace(format(datum.value, '.3~s'), 'G', 'B')"
"""How a number of parameters is written, in Vega's expressions."""


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
    """`value` with `low` and `high` against `parameters` (log axis), a line per `series`, a small chart per `panel`.

    Series stand a little beside each other, so that their intervals can be told apart.
    """
    order = {name: place for place, name in enumerate(dict.fromkeys(frame["series"]))}
    beside = [DODGE ** (order[name] - (len(order) - 1) / 2) for name in frame["series"]]
    tips = ["panel:N", "agent:N", "series:N", alt.Tooltip("parameters:Q", format=".3s")]
    tips += [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("value", "low", "high")]
    axis = alt.Axis(values=sorted(frame["parameters"].unique().tolist()), labelExpr=BILLIONS)
    base = alt.Chart(frame.assign(shown=frame["parameters"] * beside)).encode(
        x=alt.X("shown:Q", title="parameters", axis=axis, scale=alt.Scale(type="log", nice=False, padding=24)),
        color=alt.Color("series:N", title="memory", scale=alt.Scale(domain=list(order), range=PALETTE)),
        tooltip=tips,
    )
    ends = base.mark_rule().encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    line = base.mark_line(opacity=0.6).encode(y="value:Q")
    shape = alt.Shape("series:N", title="memory", scale=alt.Scale(domain=list(order)))
    points = base.mark_point(filled=True, size=60, opacity=1).encode(y="value:Q", shape=shape)
    small = alt.layer(ends, line, points).properties(width=2 * SMALL, height=200)
    return small.facet(alt.Facet("panel:N", sort=None, title=None), columns=2)
