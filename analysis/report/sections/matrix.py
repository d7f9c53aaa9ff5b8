"""What stands on the page: sections of text, charts and tables, composed from the findings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Finding, number, p_text
from analysis.matrix.comparison import Comparison
from analysis.report.figures import matrix
from analysis.report.methods import methods
from analysis.report.page import Figure, PageTable, Section, frame_table
from analysis.report.text_matrix import TextMatrix, column_labels, row_labels, text_matrix
from analysis.results import Findings
from analysis.simulation.published import published
from analysis.tables.run import Tables

FOREST_ROWS = 60
"""Rows a forest plot holds; the rest stand in the table."""


BAR_MEMORIES = 12
"""Memories whose invocation bars are drawn."""


def compose(tables: Tables, found: Findings, seed: int) -> list[Section]:
    """The sections of the page, in order; a section without data is left out."""
    sections = [
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


def _returns(found: Findings) -> Section:
    returns = text_matrix(found.cells, "return")
    chart = matrix.heatmap(found.cells, "return")
    charts = [Figure("returns", "Returns", f"{returns.note}. Hover for intervals.", chart)]
    if len(found.profiles):
        words = "Performance profile: share of scores above each return; higher is better. Bands are pointwise 95 % CI."
        charts.append(Figure("profiles", "Performance profile", words, matrix.profile(found.profiles)))
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
    others = [_matrix(text_matrix(found.cells, measure)) for measure in ("solved", "invalid")]
    return Section("returns", "Returns", charts=tuple(charts), tables=(_matrix(returns, True), *others, arms, counts))


def _contrasts(found: Findings) -> list[Section]:
    declared = [each for each in found.findings if each.kind == "contrast" and each.outcome == "return"]
    if not declared:
        return []
    charts = [_forest("contrasts", "Declared contrasts in return", declared)]
    for kind in ("gain", "regret"):
        cells = sorted((each for each in found.findings if each.kind == kind), key=lambda each: -abs(each.estimate))
        if cells:
            charts.append(_forest(kind, f"{kind.capitalize()} of each cell", cells[:FOREST_ROWS]))
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
    tables = (_findings_table(found.findings), better, checks, ranks)
    return [Section("findings", "Findings", charts=tuple(charts), tables=tables)]


def _transfer(found: Findings) -> list[Section]:
    if found.transfer.empty:
        return []
    words = (
        "Gain: return over no memory. Regret: own pool less transferred pool. Ratio: gain over that of the target's "
        "own pool. Retention: gain over that of the pool where it was learned. A ratio is suppressed where the "
        "interval of its denominator covers 0; prefer the differences."
    )
    note = "Gain of transferred pools against the difficulty of the target."
    chart = Figure("retention", "Retention by difficulty", note, matrix.retention(found.transfer))
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
    chart = matrix.heatmap(found.reuse, "coverage")
    charts = [Figure("coverage", "Coverage of the pool", "Coverage; hover for intervals.", chart)]
    bars = found.invocations[found.invocations["arm"].isin(["self", "transfer"])]
    if len(bars):
        memories = pd.Series(row_labels(bars), index=bars.index)
        bars = bars[memories.isin(memories.unique()[:BAR_MEMORIES])]
        note = "How calls are spread over skills, per evaluated agent and task."
        if memories.nunique() > BAR_MEMORIES:
            note += f" The first {BAR_MEMORIES} of {memories.nunique()} memories; all are in tables/invocations."
        charts.append(Figure("invocations", "Skill invocations", note, matrix.invocations(bars)))
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
        charts.append(Figure("curves", "Learning curves", words, matrix.curves(found.curves)))
    if len(found.lineage):
        words = "Births, refinements and prunings; choose a learner below the chart. A cross marks a pruning."
        charts.append(Figure("lineage", "Lineage", words, matrix.timeline(found.lineage)))
    if bool(found.gate.points["gain"].notna().any()):
        words = "Does ΔJ at the gate predict what the candidate then earned? Grey: mean of each fifth."
        charts.append(Figure("gate", "Gate calibration", words, matrix.gate(found.gate)))
    if not charts and not found.gate.sentences:
        return []
    return [Section("learning", "Learning", points=found.gate.sentences, charts=tuple(charts))]


def _forest(name: str, title: str, found: list[Finding]) -> Figure:
    caption = f"{title}: differences with 95 % CI; colour and shape give the verdict after adjustment."
    return Figure(name, title, caption, matrix.forest(found))


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
    header = (*header, "episodes", "learning runs", "family")
    rows = tuple(
        (
            each.subject,
            " / ".join(part for key, part in each.cell.items() if part and key != "arm"),
            each.outcome,
            each.verdict,
            f"{number(each.estimate)} [{number(each.low)}, {number(each.high)}]",
            p_text(each.p),
            p_text(each.p_adjusted),
            number(each.effect_size, 2),
            str(each.n_episodes),
            str(each.n_clusters),
            f"{each.family} ({each.adjustment})",
        )
        for each in found
    )
    return PageTable(
        "All findings", header, rows, "Differences; two-sided p; findings.json has each one in words", True
    )
