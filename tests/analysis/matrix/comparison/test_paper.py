"""The paper's values stand beside ours where memory, source, agent and task agree, and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.matrix.comparison.paper import COLUMNS, Paper, beside_paper
from analysis.statistics.bootstrap import Resampler

GEMMA, TASK = "gemma_2_9b", "Mastermind-v0"
BY = Resampler(np.random.default_rng(0), 200)


def paper(**reasoning: str) -> Paper:
    return Paper("2602.01869", {GEMMA: "small", "gemma_3_4b": "smaller"}, reasoning)


def cells(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    """Arm, source agent, agent, task, each with the same return; a pool comes from Mastermind-v0."""
    return pd.DataFrame(
        [
            {"arm": arm, "source_agent": source, "source_task": TASK if source else "", "agent": agent, "task": task}
            | {"return": 0.5, "return_low": 0.4, "return_high": 0.6, "return_method": "t", "clusters": 10}
            for arm, source, agent, task in rows
        ]
    )


def found(table: pd.DataFrame, **reasoning: str) -> dict[tuple[str, str, str], float]:
    """Memory, agent and task → the paper's value."""
    rows = beside_paper(paper(**reasoning), (table, pd.DataFrame()), {}, BY)
    if rows is None:
        return {}
    assert list(rows.columns) == COLUMNS
    assert (rows["ours"] == 0.5).all()
    return {(row["memory"], row["agent"], row["task"]): row["paper"] for row in rows.to_dict("records")}


def test_values_are_as_printed():
    values = paper().values()
    assert (values[["measure", "memory", "source_agent", "source_task", "agent", "task"]].duplicated()).sum() == 0
    printed = values.set_index(["table", "measure", "memory", "agent", "task"])["mean"]
    assert printed["returns", "return", "skills", "qwen3_32b", "ALFWorld-v0:split=train"] == 0.909
    assert printed["returns", "return", "none", "llama_3_3_70b", TASK] == 0.613
    assert printed["reuse rates", "coverage", "g_memory", "gemma_3_4b", TASK] == 0.360
    assert printed["reuse rates", "stored_tokens", "skills", GEMMA, TASK] == 816
    assert printed["ablations", "return", "without_score", GEMMA, TASK] == 0.439


def test_no_memory_and_the_pool_have_rows_of_their_own():
    table = cells(("none", "", GEMMA, TASK), ("seed", "", GEMMA, TASK), ("self", GEMMA, GEMMA, TASK))
    expected = {("none", GEMMA, TASK): 0.388, ("seed", GEMMA, TASK): 0.482, ("skills", GEMMA, TASK): 0.606}
    assert found(table) == expected


@pytest.mark.parametrize(
    "cell",
    [
        ("self", "gemma_3_4b", "gemma_3_4b", TASK),  # the paper's pool of this cell is Gemma-2's
        ("transfer", "qwen3_32b", "gemma_3_4b", TASK),
        ("random", GEMMA, GEMMA, TASK),
        ("none", "", GEMMA, "Doors-v0"),
        ("none", "", "somebody", TASK),
    ],
)
def test_what_the_paper_does_not_print_is_absent(cell):
    assert found(cells(cell)) == {}


def test_a_transferred_pool_counts_from_the_papers_source():
    assert found(cells(("transfer", GEMMA, "gemma_3_4b", TASK))) == {("skills", "gemma_3_4b", TASK): 0.444}


def test_thinking_aloud_without_memory_is_a_row_and_with_a_pool_is_none():
    table = cells(("none", "", GEMMA, TASK), ("self", GEMMA, GEMMA, TASK))
    assert found(table, **{GEMMA: "react"}) == {("react", GEMMA, TASK): 0.557}
