"""What skills did: transfer, reuse, learning, the gate."""

from __future__ import annotations

from functools import partial

from analysis.matrix.learning.curves import LEARNER
from analysis.report.figures import limits, matrix
from analysis.report.page import Figure, Section, frame_table
from analysis.report.text_matrix import labelled, ordered
from analysis.results import Results
from analysis.tables.run import CELL


def transfer_sections(found: Results) -> list[Section]:
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
        labelled(found.transfer),
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


def reuse_sections(found: Results) -> list[Section]:
    if found.reuse.empty:
        return []
    words = (
        "Three rates side by side. Coverage: share of the stored units used at least once, beside the value expected "
        "from a random selector with as many selections, the chance-corrected value (0 at chance, 1 when all is used) "
        "and the value standardised to a common number of selections per stored unit. Per episode: share of episodes "
        "with a skill call. Per step (retrieval ratio): share of steps under a skill."
    )
    findings = tuple(each.sentence for each in found.findings if each.kind == "reuse")
    tiles, note = limits.tiles(found.reuse)
    chart = partial(matrix.heatmap, tiles, "coverage")
    charts = [Figure("coverage", "Coverage of the pool", f"Coverage; hover for intervals.{note}", chart)]
    calls = found.invocations[found.invocations["arm"].isin(["self", "transfer"])]
    if len(calls):
        bars, note = limits.first_groups(ordered(calls), CELL, "bars", limits.BARS)
        parts = limits.lump_parts(bars, CELL)
        words = f"How calls are spread over skills, per evaluated agent and task; the {limits.PARTS} most used of each."
        charts.append(Figure("invocations", "Skill invocations", words + note, partial(matrix.invocations, parts)))
    rates = frame_table(
        labelled(found.reuse),
        "Reuse rates",
        "mean [95 % CI over learning runs]",
        measures=("coverage", "expected", "corrected", "standardised", "per_episode", "per_step", "calls"),
        labels=("memory", "target", "relation", "n"),
    )
    costs = frame_table(
        labelled(found.reuse),
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
    return [Section("reuse", "Reuse", (words,), findings, charts=tuple(charts), tables=(rates, costs, audit))]


def learning_sections(found: Results) -> list[Section]:
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
