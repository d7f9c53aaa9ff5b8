"""What stands on the page: sections of text, charts and tables, composed from the findings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from analysis.findings import Finding, number, p_text
from analysis.matrix.comparison import Comparison
from analysis.matrix.learning import LEARNER
from analysis.report.figures import limits, matrix
from analysis.report.methods import methods
from analysis.report.page import TABLE_ROWS, Figure, PageTable, Section, frame_table, rows_note
from analysis.report.text_matrix import TextMatrix, column_labels, ordered, row_labels, text_matrix
from analysis.results import Findings
from analysis.simulation.published import published
from analysis.tables.run import CELL, Tables

FEW_RUNS = 30
"""Learning runs up to which each one is drawn."""


def compose(tables: Tables, found: Findings, seed: int) -> list[Section]:
    """The sections of the page, in order; a section without data is left out."""
    sections = [
        _basis(tables, found),
        Section("summary", "What is and is not shown", points=found.summary, warnings=found.warnings),
        _returns(found),
        *_contrasts(found),
        *_transfer(found),
        *_reuse(found),
        *_learning(found),
        Section("methods", "Methods", (methods(found.level, found.resamples, seed),), tables=(_calibration(),)),
    ]
    if tables.transcripts:
        words = ("A sample of episodes as they were played, not chosen by result.",)
        sections.append(Section("transcripts", "Sampled episodes", paragraphs=words, transcripts=tables.transcripts))
    if tables.versions:
        rows = tuple((str(key), str(value)) for key, value in tables.versions.items())
        table = PageTable("Versions and digests", ("what", "version or digest"), rows)
        sections.append(Section("versions", "Versions and digests", tables=(table,)))
    return sections


def compose_comparison(found: Comparison, level: float, resamples: int, seed: int) -> list[Section]:
    """The sections of a comparison of runs."""
    told = tuple(each.sentence for each in found.findings)
    chart = _forest("comparison", "Differences between runs", list(found.findings))
    return [
        Section("summary", "What is and is not shown", points=told, warnings=found.refusals),
        Section("findings", "Findings", charts=(chart,), tables=(_findings_table(found.findings),)),
        Section("methods", "Methods", (methods(level, resamples, seed),), tables=(_calibration(),)),
    ]


def _basis(tables: Tables, found: Findings) -> Section:
    """What it is, whether it is finished, what is missing: before any verdict."""
    episodes = tables.episodes
    studies, runs = (", ".join(sorted(set(episodes[name]))) for name in ("study", "run"))
    answered = int(episodes["error"].isna().sum())
    state = found.unfinished or (
        "The study is finished: every planned episode is there."
        if len(tables.plan)
        else "No plan came with the tables."
    )
    words = f"Study {studies}, run {runs}: {answered:,} answered episodes in {len(found.cells):,} cells."
    table = frame_table(
        found.attendance,
        "Episodes by arm",
        "planned by the study; answered; failed for technical reasons; owed: never played",
        measures=("missing_share",),
        labels=("arm", "planned", "answered", "failed", "owed"),
    )
    paragraphs, warnings = ((words,), (state,)) if found.unfinished else ((words, state), ())
    return Section("basis", "What this rests on", paragraphs, warnings=(*warnings, *found.missing), tables=(table,))


def _returns(found: Findings) -> Section:
    tiles, note = limits.first_groups(
        ordered(found.cells), CELL[:3], "memories", max(1, limits.ROWS // max(1, _targets(found.cells)))
    )
    returns = text_matrix(tiles, "return")
    chart = partial(matrix.heatmap, tiles, "return")
    charts = [Figure("returns", "Returns", f"{returns.note}. Hover for intervals.{note}", chart)]
    if len(found.profiles):
        words = "Performance profile: share of scores above each return; higher is better. Bands are pointwise 95 % CI."
        lines, note = limits.first_groups(found.profiles, ["arm"], "arms")
        charts.append(Figure("profiles", "Performance profile", words + note, partial(matrix.profile, lines)))
    arms = frame_table(
        found.arms,
        "Arms over the whole matrix",
        "mean and interquartile mean of return, solve rate, invalid moves, Δprompt tokens per step; [95 % CI]",
        measures=("return", "iqm", "solved", "invalid", "memory_tokens", "prompt_tokens", "completion_tokens"),
        labels=("arm", "cells", "n"),
    )
    counts = frame_table(
        _labelled(found.cells),
        "Episodes behind each cell",
        "n answered; missing: failed for technical reasons; SD over episodes",
        measures=("sd",),
        labels=("memory", "target", "n", "missing", "clusters"),
    )
    others = [_matrix(text_matrix(tiles, measure)) for measure in ("solved", "invalid")]
    tables = [_matrix(returns, True), *others, arms, *_scores(found), counts]
    return Section("returns", "Returns", charts=tuple(charts), tables=tuple(tables))


def _scores(found: Findings) -> list[PageTable]:
    """Normalised scores, epochs and the split of variance, each where the study has what it needs."""
    tables: list[PageTable] = []
    if len(found.normalised):
        tables.append(
            frame_table(
                found.normalised,
                "Normalised scores",
                "return as a share of the reward range of its task, so that tasks weigh alike; optimality gap: mean "
                "distance to the best possible score [95 % CI]",
                measures=("score", "iqm", "optimality_gap"),
                labels=("arm",),
            )
        )
    if len(found.epochs):
        tables.append(
            frame_table(
                found.epochs,
                "Several episodes per seed",
                "pass@k: at least one of k episodes solves; pass^k: all do; majority: most do [95 % CI]",
                measures=("share",),
                labels=("arm", "reducer", "k", "seeds"),
            )
        )
    split = frame_table(
        found.variance,
        "Where the variance comes from",
        "components between learning runs, environment seeds and episodes of one seed (the last two cannot be told "
        "apart with one episode per seed); run share: intraclass correlation",
        measures=("run", "seed", "sampling", "seed_and_sampling", "run_share"),
        labels=("arm", "outcome"),
    )
    return [*tables, split]


def _targets(cells: pd.DataFrame) -> int:
    return len(cells[["agent", "task"]].drop_duplicates())


def _contrasts(found: Findings) -> list[Section]:
    declared = [each for each in found.findings if each.kind == "contrast" and each.outcome == "return"]
    if not declared:
        return []
    charts = [_forest("contrasts", "Declared contrasts in return", declared), *_opinions(found)]
    for kind in ("gain", "regret"):
        cells = [each for each in found.findings if each.kind == kind]
        if cells:
            charts.append(_forest(kind, f"{kind.capitalize()} of each cell", cells))
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
    tables = (_findings_table(found.findings), opinions, better, checks, ranks)
    return [Section("findings", "Findings", charts=tuple(charts), tables=tables)]


def _opinions(found: Findings) -> list[Figure]:
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


def _transfer(found: Findings) -> list[Section]:
    if found.transfer.empty:
        return []
    words = (
        "Gain: return over no memory. Regret: own pool less transferred pool. Ratio: gain over that of the target's "
        "own pool. Retention: gain over that of the pool where it was learned. A ratio is suppressed where the "
        "interval of its denominator covers 0; prefer the differences."
    )
    points, note = limits.evenly(found.transfer, "gain")
    caption = f"Gain of transferred pools against the difficulty of the target.{note}"
    chart = Figure("retention", "Retention by difficulty", caption, partial(matrix.retention, points))
    cells = frame_table(
        _labelled(found.transfer),
        "Transfer of each cell",
        "ratios with Fieller's 95 % CI",
        measures=("gain", "own", "home", "difficulty", "ratio", "retention"),
        labels=("memory", "target"),
    )
    kinds = frame_table(
        found.relations,
        "Gain by relation",
        "mean [95 % CI]",
        measures=("gain",),
        labels=("relation", "episodes", "clusters"),
    )
    return [Section("transfer", "Transfer", paragraphs=(words,), charts=(chart,), tables=(kinds, cells))]


def _reuse(found: Findings) -> list[Section]:
    if found.reuse.empty:
        return []
    words = (
        "Three rates side by side. Coverage: share of the stored units used at least once, beside the value expected "
        "from a random selector with as many selections, the chance-corrected value (0 at chance, 1 when all is used) "
        "and the value standardised to a common number of selections per stored unit. Per episode: share of episodes "
        "with a skill call. Per step (retrieval ratio): share of steps under a skill."
    )
    told = tuple(each.sentence for each in found.findings if each.kind == "reuse")
    tiles, note = limits.first_groups(
        ordered(found.reuse), CELL[:3], "memories", max(1, limits.ROWS // max(1, _targets(found.reuse)))
    )
    chart = partial(matrix.heatmap, tiles, "coverage")
    charts = [Figure("coverage", "Coverage of the pool", f"Coverage; hover for intervals.{note}", chart)]
    calls = found.invocations[found.invocations["arm"].isin(["self", "transfer"])]
    if len(calls):
        bars, note = limits.first_groups(ordered(calls), CELL, "bars", limits.BARS)
        parts = limits.lump_parts(bars, CELL)
        words = f"How calls are spread over skills, per evaluated agent and task; the {limits.PARTS} most used of each."
        charts.append(Figure("invocations", "Skill invocations", words + note, partial(matrix.invocations, parts)))
    rates = frame_table(
        _labelled(found.reuse),
        "Reuse rates",
        "mean [95 % CI over learning runs]",
        measures=("coverage", "expected", "corrected", "standardised", "per_episode", "per_step", "calls"),
        labels=("memory", "target", "relation", "n"),
    )
    costs = frame_table(
        _labelled(found.reuse),
        "What memory costs",
        "|M|, selections, stored tokens, Δprompt tokens per step [95 % CI]",
        measures=("units", "selections", "stored_tokens", "memory_tokens"),
        labels=("memory", "target"),
    )
    audit = frame_table(
        found.tokens,
        "Token efficiency",
        "gain over no memory per 1,000 more prompt tokens an episode; compare with rag where it was run",
        measures=("gain", "extra_prompt_tokens", "gain_per_1000_tokens", "memory_tokens"),
        labels=("arm",),
    )
    return [Section("reuse", "Reuse", (words,), told, charts=tuple(charts), tables=(rates, costs, audit))]


def _learning(found: Findings) -> list[Section]:
    charts: list[Figure] = []
    if len(found.curves):
        words = "Mean return per iteration; bands are 95 % CI over learning runs."
        lines, note = limits.first_groups(found.curves, ["agent", "task"], "learners")
        charts.append(Figure("curves", "Learning curves", words + note, partial(matrix.curves, lines)))
    if len(found.lineage):
        words = "Births, refinements and prunings; choose a learner below the chart. A cross marks a pruning."
        lives, note = limits.first_groups(found.lineage, LEARNER, "learners")
        lives, more = limits.evenly(lives, "born")
        charts.append(Figure("lineage", "Lineage", words + (more or note), partial(matrix.timeline, lives)))
    if bool(found.gate.points["gain"].notna().any()):
        words = "Does ΔJ at the gate predict what the candidate then earned? Grey: mean of each fifth."
        points, note = limits.evenly(found.gate.points[found.gate.points["gain"].notna()], "delta_J")
        charts.append(Figure("gate", "Gate calibration", words + note, partial(matrix.gate, points, found.gate.curve)))
    if not charts and not found.gate.sentences:
        return []
    return [Section("learning", "Learning", points=found.gate.sentences, charts=tuple(charts))]


def _forest(name: str, title: str, found: Sequence[Finding]) -> Figure:
    """At most BARS rows: the largest differences, in the order given."""
    known = sorted(found, key=lambda each: -np.nan_to_num(abs(each.estimate), nan=-1.0))
    drawn = {each.id for each in known[: limits.BARS]}
    shown = [each for each in found if each.id in drawn]
    note = (
        f" Drawn: the {len(shown)} largest of {len(found):,}; the table holds all." if len(shown) < len(found) else ""
    )
    caption = f"{title}: differences with 95 % CI; colour and shape give the verdict after adjustment.{note}"
    return Figure(name, title, caption, partial(matrix.forest, shown))


def _matrix(matrix: TextMatrix, opened: bool = False) -> PageTable:
    return PageTable(matrix.title.replace("_", " ").capitalize(), matrix.header, matrix.rows, matrix.note, opened)


def _calibration() -> PageTable:
    rows = tuple(
        (row.method, row.kind, row.world, str(row.clusters), f"{row.rate:.1%}", f"{row.low:.1%} to {row.high:.1%}")
        for row in published()
        if row.promised
    )
    note = (
        "nominal 95 % coverage of intervals, 5 % rejections of tests; Monte-Carlo 95 % CI; simulated, not from this run"
    )
    header = ("method", "kind", "world", "clusters", "rate", "Monte-Carlo CI")
    return PageTable("Calibration of the methods used", header, rows, note)


def _labelled(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.assign(memory=row_labels(cells), target=column_labels(cells))


def _findings_table(found: Sequence[Finding]) -> PageTable:
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
