"""Findings: declared contrasts, cells, and what their verdicts hang on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from analysis.findings import Finding, number, p_text
from analysis.report.figures import limits, matrix
from analysis.report.page import TABLE_ROWS, Figure, PageTable, Section, frame_table, rows_note
from analysis.results import Results

FEW_RUNS = 30
"""Learning runs up to which each one is drawn."""


def findings_sections(found: Results) -> list[Section]:
    declared = [each for each in found.findings if each.kind == "contrast" and each.outcome == "return"]
    charts = [forest("contrasts", "Declared contrasts in return", declared), *_opinions(found)] if declared else []
    titles = {"gain": "Gain of each cell", "regret": "Regret of each cell", "given": "Given pools"}
    for kind, title in titles.items():
        cells = [each for each in found.findings if each.kind == kind and each.outcome == "return"]
        if cells:
            charts.append(forest(kind, title, cells))
    if not charts:
        return []
    better = frame_table(
        found.improvements,
        "Probability of improvement",
        "chance to beat the reference on the same seed, ties half [95 % CI]",
        measures=("probability",),
        labels=("contrast",),
    )
    checks = frame_table(
        found.checks,
        "Second opinions",
        "other methods, other assumptions: Wilcoxon asks about symmetry, McNemar takes episodes as independent",
        measures=[name for name in found.checks.columns if name not in ("contrast", "mixed_note")],
        labels=("contrast",),
    )
    ranks = frame_table(
        found.ranks,
        "Ranks of arms",
        found.rank_test,
        measures=("difference", "p", "p_adjusted"),
        labels=("first", "second"),
    )
    opinions = frame_table(
        found.sensitivity,
        "What a verdict hangs on",
        "mde: difference found with 80 % power at .05 ÷ number of contrasts; smallest margin: that would have passed "
        "as equivalent; loo: least and largest estimate without one learning run, and the run that moves it most; "
        "posterior mean [95 % credible] under a normal prior around 0 whose SD is half the reward range, chance of a "
        "difference above 0 and within the margin, and the first of them under a prior a quarter as wide",
        measures=("mde", "smallest_margin", "loo_low", "loo_high", "posterior", "p_positive", "p_within_margin",
                  "sceptic_p_positive"),
        labels=("contrast", "outcome", "clusters", "loo_run"),
    )  # fmt: skip
    tables = (findings_table(found.findings), opinions, better, checks, ranks)
    return [Section("findings", "Findings", charts=tuple(charts), tables=tables)]


def _opinions(found: Results) -> list[Figure]:
    """The margin's band where one was declared, and every learning run where they are few."""
    charts: list[Figure] = []
    asked = found.sensitivity[found.sensitivity["outcome"] == "return"]
    if np.isfinite(found.margin) and bool(asked["low90"].notna().any()):
        rows, note = limits.first_groups(asked, ["contrast"], "contrasts", limits.BARS)
        words = f"Equivalence: 90 % intervals against the declared margin ±{found.margin:g} (the band)."
        chart = partial(matrix.equivalence, rows, found.margin)
        charts.append(Figure("equivalence", "Equivalence", words + note, chart))
    values = found.cluster_values[found.cluster_values["outcome"] == "return"]
    sizes = values.groupby("contrast")["value"].transform("size")
    few, note = limits.first_groups(values[sizes <= FEW_RUNS], ["contrast"], "contrasts", limits.LINES)
    if len(few):
        words = "Every learning run's difference (dots) and their mean (bar), of contrasts that rest on few."
        charts.append(Figure("values", "Learning runs", words + note, partial(matrix.run_values, few)))
    return charts


def forest(name: str, title: str, found: Sequence[Finding]) -> Figure:
    """At most BARS rows: the largest differences, in the order given."""
    known = sorted(found, key=lambda each: -np.nan_to_num(abs(each.estimate), nan=-1.0))
    drawn = {each.id for each in known[: limits.BARS]}
    shown = [each for each in found if each.id in drawn]
    note = (
        f" Drawn: the {len(shown)} largest of {len(found):,}; the table holds all." if len(shown) < len(found) else ""
    )
    caption = f"{title}: differences with 95 % CI; colour and shape give the verdict after adjustment.{note}"
    return Figure(name, title, caption, partial(matrix.forest, shown))


def findings_table(found: Sequence[Finding]) -> PageTable:
    header = ("comparison", "where", "outcome", "verdict", "estimate [95 % CI]", "p", "adjusted p", "effect size")
    header = (*header, "detectable", "episodes", "missing", "learning runs", "family")
    rows = tuple(
        (
            each.subject,
            " / ".join(part for key, part in each.cell.items() if part and key != "arm"),
            each.outcome,
            f"{each.verdict}{' (provisional)' if each.provisional else ''}",
            _ends(each.estimate, each.low, each.high, 3),
            p_text(each.p),
            p_text(each.p_adjusted),
            _ends(each.effect_size, each.effect_low, each.effect_high, 2),
            number(each.mde),
            str(each.n_episodes),
            ", ".join(f"{arm} {count} of {each.planned[arm]}" for arm, count in each.missing.items() if count) or "0",
            str(each.n_clusters),
            f"{each.family} ({each.adjustment})",
        )
        for each in found[:TABLE_ROWS]
    )
    note = "Differences; two-sided p; detectable: with 80 % power in this family; findings.json has each one in words"
    return PageTable("All findings", header, rows, note + rows_note(len(found)), True)


def _ends(value: float, low: float, high: float, digits: int) -> str:
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"
