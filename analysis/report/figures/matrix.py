"""Altair charts, each a function of one frame. Text in them is data: Vega draws it and never interprets it."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from analysis.findings import Finding
from analysis.report.text_matrix import column_labels, ordered, row_labels
from analysis.tables.units import relation

Chart = alt.Chart | alt.LayerChart | alt.FacetChart | alt.VConcatChart
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B2A200", "#999999"]
"""After Okabe & Ito: told apart by colour-blind readers."""
VERDICTS = {"better": "#0072B2", "worse": "#D55E00", "equivalent": "#009E73", "undecided": "#888888"}
WIDTH = 440
SMALL = WIDTH // 3
"""Of small multiples."""
LABEL = alt.Axis(labelLimit=320, title=None)


def heatmap(cells: pd.DataFrame, measure: str) -> Chart:
    """Memory × target, coloured by the measure; interval, n and learning runs on hover."""
    keep = [measure, f"{measure}_low", f"{measure}_high", f"{measure}_method", "n", "clusters"]
    cells = ordered(cells)
    frame = cells[keep].assign(memory=row_labels(cells), target=column_labels(cells)).astype({measure: float})
    frame["label"] = [f"{value:.2f}" if pd.notna(value) else "no data" for value in frame[measure]]
    known = frame[measure].dropna()
    middle = float(known.min() + known.max()) / 2 if len(known) else 0.0
    tips = [
        alt.Tooltip("memory:N"),
        alt.Tooltip("target:N"),
        alt.Tooltip(f"{measure}:Q", format=".3f"),
        alt.Tooltip(f"{measure}_low:Q", title="95 % CI low", format=".3f"),
        alt.Tooltip(f"{measure}_high:Q", title="95 % CI high", format=".3f"),
        alt.Tooltip(f"{measure}_method:N", title="interval"),
        alt.Tooltip("n:Q", title="episodes"),
        alt.Tooltip("clusters:Q", title="learning runs"),
    ]
    base = alt.Chart(frame).encode(
        x=alt.X("target:N", title="evaluated", axis=alt.Axis(labelAngle=-35, labelLimit=320)),
        y=alt.Y("memory:N", sort=None, axis=LABEL),
        tooltip=tips,
    )
    squares = base.mark_rect(stroke="white", strokeWidth=1).encode(
        color=alt.Color(f"{measure}:Q", scale=alt.Scale(scheme="viridis"), title=measure.replace("_", " "))
    )
    ink = alt.condition(alt.datum[measure] < middle, alt.value("white"), alt.value("black"))
    words = base.mark_text(fontSize=11).encode(text="label:N", color=ink)
    return alt.layer(squares, words).properties(width=alt.Step(64), height=alt.Step(26))


def forest(findings: Sequence[Finding]) -> Chart:
    """Differences with their intervals, one row each; colour and shape give the verdict."""
    frame = pd.DataFrame(
        {
            "contrast": " · ".join([each.subject, *filter(None, list(each.cell.values())[-4:])]),
            "estimate": each.estimate,
            "low": each.low,
            "high": each.high,
            "verdict": each.verdict,
            "p": each.p_adjusted,
            "in words": each.sentence,
        }
        for each in findings
    )
    names = list(VERDICTS)
    base = alt.Chart(frame).encode(
        y=alt.Y("contrast:N", sort=None, axis=alt.Axis(labelLimit=460, title=None)),
        color=alt.Color("verdict:N", scale=alt.Scale(domain=names, range=list(VERDICTS.values()))),
        tooltip=[
            alt.Tooltip("contrast:N"),
            alt.Tooltip("estimate:Q", format=".3f"),
            alt.Tooltip("low:Q", title="95 % CI low", format=".3f"),
            alt.Tooltip("high:Q", title="95 % CI high", format=".3f"),
            alt.Tooltip("p:Q", title="adjusted p", format=".4f"),
            alt.Tooltip("verdict:N"),
        ],
    )
    lines = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="difference (95 % CI)"), x2="high:Q")
    shapes = alt.Shape(
        "verdict:N", scale=alt.Scale(domain=names, range=["triangle-up", "triangle-down", "square", "circle"])
    )
    points = base.mark_point(filled=True, size=80).encode(x="estimate:Q", shape=shapes)
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[4, 3], color="#888888").encode(x="zero:Q")
    return alt.layer(zero, lines, points).properties(width=WIDTH, height=alt.Step(20))


def invocations(shares: pd.DataFrame) -> Chart:
    """How each evaluated agent and task spreads its calls over the stored units (paper's Fig. 5)."""
    shares = ordered(shares)
    frame = shares[["unit", "name", "calls", "share"]].assign(memory=row_labels(shares), target=column_labels(shares))
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of calls", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            y=alt.Y("target:N", axis=LABEL),
            color=alt.Color(
                "name:N",
                title="skill",
                scale=alt.Scale(range=PALETTE),
                legend=alt.Legend(labelLimit=240, symbolLimit=16),
            ),
            order=alt.Order("share:Q", sort="descending"),
            row=alt.Row("memory:N", title=None, sort=None, header=alt.Header(labelOrient="top", labelAnchor="start")),
            tooltip=["memory:N", "target:N", "name:N", "unit:N", "calls:Q", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(width=WIDTH)
    )


def equivalence(opinions: pd.DataFrame, margin: float) -> Chart:
    """90 % intervals of the declared contrasts against the declared margin: equivalent is what lies inside the band."""
    frame = opinions[["contrast", "low90", "high90", "smallest_margin"]].assign(
        estimate=(opinions["low90"] + opinions["high90"]) / 2,
        inside=(opinions["low90"] > -margin) & (opinions["high90"] < margin),
    )
    band = alt.Chart(pd.DataFrame({"from": [-margin], "to": [margin]})).mark_rect(opacity=0.15, color="#009E73")
    base = alt.Chart(frame).encode(
        y=alt.Y("contrast:N", sort=None, axis=alt.Axis(labelLimit=460, title=None)),
        color=alt.Color("inside:N", scale=alt.Scale(domain=[True, False], range=["#009E73", "#888888"])),
        tooltip=["contrast:N", *[alt.Tooltip(f"{name}:Q", format=".3f") for name in ("low90", "high90")],
                 alt.Tooltip("smallest_margin:Q", title="smallest margin that would pass", format=".3f")],
    )  # fmt: skip
    lines = base.mark_rule(strokeWidth=2).encode(x=alt.X("low90:Q", title="difference (90 % CI)"), x2="high90:Q")
    points = base.mark_point(filled=True, size=70).encode(x="estimate:Q")
    return alt.layer(band.encode(x="from:Q", x2="to:Q"), lines, points).properties(width=WIDTH, height=alt.Step(20))


def run_values(values: pd.DataFrame) -> Chart:
    """Every learning run's difference as a dot, and their mean as a line: the data themselves, where they are few."""
    base = alt.Chart(values).encode(y=alt.Y("contrast:N", sort=None, axis=alt.Axis(labelLimit=460, title=None)))
    dots = base.mark_point(filled=True, opacity=0.6, size=45, color=PALETTE[0]).encode(
        x=alt.X("value:Q", title="difference of one learning run"),
        tooltip=["contrast:N", "task:N", "learning_run:Q", alt.Tooltip("value:Q", format=".3f")],
    )
    means = base.mark_tick(thickness=3, size=16, color="#D55E00").encode(x="mean(value):Q")
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[4, 3], color="#888888").encode(x="zero:Q")
    return alt.layer(zero, dots, means).properties(width=WIDTH, height=alt.Step(20))


def profile(profiles: pd.DataFrame) -> Chart:
    """Share of scores above τ, per arm, with pointwise intervals."""
    tips = ["arm:N", alt.Tooltip("tau:Q", format=".2f"), alt.Tooltip("share:Q", format=".2f")]
    base = alt.Chart(profiles).encode(x=alt.X("tau:Q", title="return τ"), tooltip=tips)
    return small_multiples(base, "arm", ("share", "share_low", "share_high"), "share above τ")


def curves(frame: pd.DataFrame) -> Chart:
    """Learning curves: mean return per iteration with intervals over learning runs."""
    names = [f"{agent} · {task}" for agent, task in zip(frame["agent"], frame["task"], strict=True)]
    ends = [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("return", "low", "high")]
    tips = ["learner:N", "iteration:Q", *ends, alt.Tooltip("runs:Q", title="learning runs")]
    base = alt.Chart(frame.assign(learner=names)).encode(
        x=alt.X("iteration:Q", axis=alt.Axis(tickMinStep=1, tickCount=4)), tooltip=tips
    )
    return small_multiples(base, "learner", ("return", "low", "high"), "return")


def small_multiples(base: alt.Chart, group: str, names: tuple[str, str, str], title: str) -> Chart:
    """A small chart of a line in its band for each of a group, all on the same scales; their bands cannot overlap."""
    middle, low, high = names
    band = base.mark_area(opacity=0.2, color=PALETTE[0]).encode(y=alt.Y(f"{low}:Q", title=title), y2=f"{high}:Q")
    line = base.mark_line(color=PALETTE[0], point={"size": 15}).encode(y=f"{middle}:Q")
    small = alt.layer(band, line).properties(width=SMALL, height=90)
    header = alt.Header(labelLimit=SMALL, labelFontSize=9)
    return small.facet(alt.Facet(f"{group}:N", sort=None, title=None, header=header), columns=3)


def timeline(lives: pd.DataFrame) -> Chart:
    """Lineage: a bar from birth to death of every skill, by learner (paper's Fig. 4); parents on hover."""
    learners = zip(lives["agent"], lives["task"], lives["learning_run"], strict=True)
    frame = lives.assign(learner=[f"{agent} · {task} · run {run}" for agent, task, run in learners])
    names = sorted(frame["learner"].unique().tolist())
    menu = alt.param(name="learner", value=names[0], bind=alt.binding_select(options=names, name="learner "))
    base = alt.Chart(frame).encode(
        y=alt.Y("unit:N", sort=alt.EncodingSortField("born"), axis=LABEL),
        tooltip=["name:N", "unit:N", "origin:N", "parents:N", "born:Q", "died:Q", alt.Tooltip("score:Q", format=".3f")],
    )
    colour = alt.Color("origin:N", scale=alt.Scale(range=PALETTE))
    scale = alt.Scale(domain=[0.0, float(lives["end"].max())])
    start = alt.X("born:Q", title="iteration", axis=alt.Axis(tickMinStep=1, format="d"), scale=scale)
    bars = base.mark_bar(height=10).encode(x=start, x2="end:Q", color=colour)
    words = base.mark_text(align="left", dx=4, dy=-9, fontSize=10).encode(x=start, text="name:N")
    layers = [bars, words]
    if bool(lives["died"].notna().any()):
        ends = base.transform_filter("isValid(datum.died)").mark_point(shape="cross", angle=45, size=70, filled=True)
        layers.append(ends.encode(x=alt.X("died:Q", scale=scale), color=alt.value("#D55E00")))
    chart = alt.layer(*layers).add_params(menu).transform_filter("datum.learner == learner")
    return chart.properties(width=WIDTH, height=alt.Step(26))


def gate(points: pd.DataFrame, curve: pd.DataFrame) -> Chart:
    """ΔJ against the gain of candidates, and the mean of each fifth."""
    columns = ["unit", "parents", "delta_J", "noise", "gain", "verdict"]
    dots = (
        alt.Chart(points[columns])
        .mark_point(filled=True, opacity=0.6)
        .encode(
            x=alt.X("delta_J:Q", title="ΔJ at the gate"),
            y=alt.Y("gain:Q", title="what the candidate then earned"),
            color=alt.Color("verdict:N", scale=alt.Scale(range=PALETTE)),
            shape="verdict:N",
            tooltip=["unit:N", "parents:N", "delta_J:Q", "noise:Q", "gain:Q", "verdict:N"],
        )
    )
    line = alt.Chart(curve).mark_line(point=True, color="#888888").encode(x="delta_J:Q", y="gain:Q")
    return alt.layer(dots, line).properties(width=WIDTH, height=260)


def retention(transfer: pd.DataFrame) -> Chart:
    """Gain of transferred pools against the target's difficulty (return without memory: left is hard)."""
    columns = ["gain", "own", "home", "difficulty", "ratio", "retention"]
    names = {"memory": row_labels(transfer), "target": column_labels(transfer), "relation": relation(transfer)}
    frame = transfer[columns].assign(**names)
    dots = (
        alt.Chart(frame)
        .mark_point(filled=True, size=60)
        .encode(
            x=alt.X("difficulty:Q", title="return without memory (harder to the left)"),
            y=alt.Y("gain:Q", title="gain over no memory"),
            color=alt.Color("relation:N", scale=alt.Scale(range=PALETTE)),
            shape="relation:N",
            tooltip=["memory:N", "target:N", *[alt.Tooltip(f"{name}:Q", format=".3f") for name in columns]],
        )
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[4, 3], color="#888888").encode(y="zero:Q")
    return alt.layer(zero, dots).properties(width=WIDTH, height=260)


def sequences(looks: pd.DataFrame) -> Chart:
    """Mean and confidence sequence of every claim over the tokens spent, a small chart each."""
    ends = [alt.Tooltip(f"{name}:Q", format=".3f") for name in ("mean", "low", "high")]
    base = alt.Chart(looks).encode(
        x=alt.X("tokens:Q", title="tokens", axis=alt.Axis(format="~s", tickCount=3)),
        tooltip=["claim:N", "look:Q", "runs:Q", "n:Q", *ends, "state:N"],
    )
    band = base.mark_area(opacity=0.2, color=PALETTE[0]).encode(y=alt.Y("low:Q", title="difference"), y2="high:Q")
    line = base.mark_line(color=PALETTE[0], point={"size": 15}).encode(y="mean:Q")
    zero = alt.Chart(looks).mark_rule(strokeDash=[4, 3], color="#888888").encode(y=alt.datum(0.0))
    small = alt.layer(zero, band, line).properties(width=SMALL, height=90)
    title = alt.Facet("claim:N", sort=None, title=None, header=alt.Header(labelLimit=SMALL, labelFontSize=9))
    return small.facet(title, columns=3)


def evidence(looks: pd.DataFrame) -> Chart:
    """Largest e-value or 1 ÷ p of every claim so far, over the tokens spent; the dashed line is 20."""
    frame = looks.assign(e=looks["log_e"].clip(upper=70.0) / 2.302585092994046)
    lines = (
        alt.Chart(frame)
        .mark_line(point={"size": 15})
        .encode(
            x=alt.X("tokens:Q", axis=alt.Axis(format="~s")),
            y=alt.Y("e:Q", title="largest e-value or 1 ÷ p so far, power of ten"),
            color=alt.Color("claim:N", sort=None, scale=alt.Scale(range=PALETTE), legend=alt.Legend(labelLimit=320)),
            tooltip=["claim:N", "look:Q", "runs:Q", "n:Q", alt.Tooltip("e:Q", format=".2f"), "state:N"],
        )
    )
    twenty = pd.DataFrame({"e": [1.3010299956639813]})
    rule = alt.Chart(twenty).mark_rule(strokeDash=[4, 3], color="#888888").encode(y="e:Q")
    return alt.layer(rule, lines).properties(width=WIDTH, height=220)
