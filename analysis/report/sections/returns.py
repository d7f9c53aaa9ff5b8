"""Returns: the matrix, arms, scores, episodes per seed, variance."""

from __future__ import annotations

from functools import partial

from analysis.report.figures import limits, matrix
from analysis.report.page import Figure, PageTable, Section, frame_table
from analysis.report.text_matrix import TextMatrix, labelled, text_matrix
from analysis.results import Results


def returns_section(found: Results) -> Section:
    tiles, note = limits.tiles(found.cells)
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
        "mean and interquartile mean of return, solve rate, invalid moves, Δprompt tokens per step; [95 % CI]; tokens "
        "an episode, those thought aloud among the completion's",
        measures=(
            *("return", "iqm", "solved", "invalid", "memory_tokens", "prompt_tokens", "completion_tokens"),
            "thought_tokens",
        ),
        labels=("arm", "cells", "n"),
    )
    counts = frame_table(
        labelled(found.cells),
        "Episodes behind each cell",
        "n answered; missing: failed for technical reasons; SD over episodes",
        measures=("sd",),
        labels=("memory", "target", "n", "missing", "clusters"),
    )
    others = [_matrix(text_matrix(tiles, measure)) for measure in ("solved", "invalid")]
    tables = [_matrix(returns, True), *others, arms, *_types(found), *_scores(found), counts]
    return Section("returns", "Returns", charts=tuple(charts), tables=tuple(tables))


def _types(found: Results) -> list[PageTable]:
    """Empty where no task has several types."""
    if found.types is None:
        return []
    return [
        frame_table(
            labelled(found.types),
            "Returns by type of task",
            "types are strata of a task, as its game tells them; n answered [95 % CI over learning runs]",
            measures=("return", "solved", "invalid", "steps"),
            labels=("memory", "target", "task_type", "n", "clusters"),
        )
    ]


def _scores(found: Results) -> list[PageTable]:
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
                "pass@k: at least one of k episodes solves; pass^k: all do; at least k do; majority: most do [95 % CI]",
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


def _matrix(matrix: TextMatrix, opened: bool = False) -> PageTable:
    return PageTable(matrix.title.replace("_", " ").capitalize(), matrix.header, matrix.rows, matrix.note, opened)
