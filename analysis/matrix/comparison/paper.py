"""The paper's printed values beside ours: cells of one memory, source, agent and task, matched by their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.matrix.cells import cell_table, reuse_table
from analysis.matrix.comparison.memories import POOL
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables
from analysis.tables.units import seed_means

CELL = ["memory", "source_agent", "source_task", "agent", "task"]
MEASURES = ("return", "coverage", "stored_tokens")
LEARNED = ("self", "transfer")
COLUMNS = [
    *("measure", *CELL, "paper", "spread", "ours", "ours_low", "ours_high", "ours_method"),
    *("clusters", "model", "table"),
]


@dataclass(frozen=True)
class Paper:
    """A paper with whose values a study is compared, and who plays under the names of its agents."""

    number: str
    """On arXiv; its values lie in a file beside this one."""
    models: Mapping[str, str]
    """The model of each agent."""
    reasoning: Mapping[str, str]
    """How each agent plays: "direct", or "cot" and "react", which are rows of the paper for agents without memory."""

    def values(self) -> pd.DataFrame:
        """Columns table (of the paper), measure, CELL, mean, spread: the ± as printed, of whatever kind it is."""
        path = Path(__file__).with_name(f"arxiv_{self.number.replace('.', '_')}.csv")
        texts = dict.fromkeys(("table", "measure", *CELL), "str")
        return pd.read_csv(path, dtype=texts, keep_default_na=False, na_values={"spread": [""]})


def beside_paper(
    paper: Paper,
    pool: tuple[pd.DataFrame, pd.DataFrame],
    memories: Mapping[str, Tables],
    by: Resampler,
) -> pd.DataFrame | None:
    """One row (COLUMNS) for each value that the paper prints and we have; None where there is none.

    `pool`: the cells and the reuse of the study's own pool, as `cell_table` and `reuse_table` give them.
    """
    frames = [*_measured(paper, POOL, *pool)]
    for name, tables in memories.items():
        frames += _measured(paper, name, cell_table(tables, seed_means(tables.episodes), by), reuse_table(tables, by))
    found = paper.values().merge(pd.concat(frames), on=["measure", *CELL])  # in the order of the paper
    if found.empty:
        return None
    return found.rename(columns={"mean": "paper"}).assign(model=found["agent"].map(paper.models))[COLUMNS]


def _measured(paper: Paper, memory: str, cells: pd.DataFrame, reuse: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Each measure of our cells, as `ours`, under the paper's name for the memory of the cell."""
    for measure in MEASURES:
        frame = next((each for each in (cells, reuse) if measure in each), None)
        if frame is None:
            continue
        ours = {measure: "ours"} | {f"{measure}_{end}": f"ours_{end}" for end in ("low", "high", "method")}
        named = frame.astype(dict.fromkeys(CELL[1:], "str")).assign(measure=measure)
        named["memory"] = [
            _memory(memory, str(arm), paper.reasoning.get(agent, "direct"))
            for arm, agent in zip(named["arm"], named["agent"], strict=True)
        ]
        yield named[named["memory"] != ""].rename(columns=ours)[["measure", *CELL, *ours.values(), "clusters"]]


def _memory(memory: str, arm: str, reasoning: str) -> str:
    """The paper's row for an arm of ours; "" where it has none. The arms without a pool are counted once."""
    if arm == "none" and memory == POOL:
        return "none" if reasoning == "direct" else reasoning
    if reasoning != "direct":
        return ""
    if arm == "seed" and memory == POOL:
        return "seed"
    return memory if arm in LEARNED else ""
