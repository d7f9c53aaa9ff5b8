"""Altair charts, each a function of one frame. Text in them is data: Vega draws it and never interprets it."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from .findings import Finding
from .matrix import column_labels, row_labels

PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999"]
"""Okabe & Ito's colours, told apart by colour-blind readers."""
VERDICTS = {"better": "#0072B2", "worse": "#D55E00", "equivalent": "#009E73", "undecided": "#888888"}
LONG_LABEL = 260


def heatmap(cells: pd.DataFrame, measure: str, title: str) -> alt.LayerChart:
    """Memory × target, coloured by the measure; interval, n and clusters on hover."""
    keep = [measure, f"{measure}_low", f"{measure}_high", f"{measure}_method", "n", "clusters"]
    frame = cells[keep].assign(memory=row_labels(cells), target=column_labels(cells)).astype({measure: float})
    frame["label"] = [f"{value:.2f}" if pd.notna(value) else "no data" for value in frame[measure]]
    middle = float(frame[measure].min() + frame[measure].max()) / 2 if frame[measure].notna().any() else 0.0
    base = alt.Chart(frame).encode(
        x=alt.X("target:N", title="evaluated", axis=alt.Axis(labelAngle=-35, labelLimit=LONG_LABEL, grid=False)),
        y=alt.Y("memory:N", title=None, sort=None, axis=alt.Axis(labelLimit=LONG_LABEL, grid=False)),
    )
    tips = [alt.Tooltip("memory:N"), alt.Tooltip("target:N"), alt.Tooltip(f"{measure}:Q", format=".3f")]
    tips += [alt.Tooltip(f"{measure}_{end}:Q", title=f"95 % CI {end}", format=".3f") for end in ("low", "high")]
    tips += [alt.Tooltip(f"{measure}_method:N", title="interval"), alt.Tooltip("n:Q", title="episodes")]
    tips += [alt.Tooltip("clusters:Q", title="learning runs")]
    colour = alt.Color(f"{measure}:Q", scale=alt.Scale(scheme="viridis"), title=measure)
    squares = base.mark_rect(stroke="white", strokeWidth=1).encode(color=colour, tooltip=tips)
    dark = alt.datum[measure] < middle
    words = base.mark_text(fontSize=11).encode(
        text="label:N", color=alt.condition(dark, alt.value("white"), alt.value("black")), tooltip=tips
    )
    return alt.layer(squares, words).properties(title=title, width=alt.Step(64), height=alt.Step(26))


def forest(findings: Sequence[Finding], title: str) -> alt.LayerChart:
    """Differences with their intervals, one row each, coloured and shaped by verdict."""
    frame = pd.DataFrame(
        {
            "contrast": " · ".join([each.subject, *filter(None, (each.cell.get(k, "") for k in _PLACE))]),
            "estimate": each.estimate,
            "low": each.low,
            "high": each.high,
            "verdict": each.verdict,
            "p": each.p_adjusted,
            "sentence": each.sentence,
        }
        for each in findings
    )
    base = alt.Chart(frame).encode(
        y=alt.Y("contrast:N", sort=None, title=None, axis=alt.Axis(labelLimit=2 * LONG_LABEL))
    )
    colour = alt.Color("verdict:N", scale=alt.Scale(domain=list(VERDICTS), range=list(VERDICTS.values())))
    tips = ["contrast:N", "estimate:Q", "low:Q", "high:Q", alt.Tooltip("p:Q", title="adjusted p"), "verdict:N"]
    lines = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="difference (95 % CI)"), x2="high:Q", color=colour
    )
    points = base.mark_point(filled=True, size=70).encode(x="estimate:Q", color=colour, shape="verdict:N", tooltip=tips)
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[4, 3], color="#888888").encode(x="zero:Q")
    return alt.layer(zero, lines, points).properties(title=title, width=420, height=alt.Step(20))


def invocations(shares: pd.DataFrame, title: str) -> alt.Chart:
    """How each evaluated agent and task spreads its calls over the stored units (paper's Fig. 5)."""
    frame = shares.assign(memory=row_labels(shares), target=column_labels(shares))
    frame = frame.astype({"share": float, "name": "str"})[["memory", "target", "name", "unit", "calls", "share"]]
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of calls", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            y=alt.Y("target:N", title=None, axis=alt.Axis(labelLimit=LONG_LABEL)),
            color=alt.Color("name:N", title="skill", scale=alt.Scale(range=PALETTE), legend=alt.Legend(labelLimit=220)),
            order=alt.Order("share:Q", sort="descending"),
            row=alt.Row("memory:N", title=None, header=alt.Header(labelAngle=0, labelAlign="left", labelOrient="top")),
            tooltip=["memory:N", "target:N", "name:N", "unit:N", "calls:Q", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(title=title, width=420)
    )


_PLACE = ("source_agent", "source_task", "agent", "task")
