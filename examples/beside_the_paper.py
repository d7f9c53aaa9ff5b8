"""The paper's printed value beside ours, for runs of the study files in `examples/paper`.

From the repository root, for a finished run: `python examples/beside_the_paper.py runs/matrix-…`.
The paper's values are those of `audit_paper.py`, ± as printed (in some rows an SD, in others a standard error); ours
have 95 % intervals over learning runs. A cell is found by the names of its agent and task, and by where its memory was
learned: with other models under these names (printed first) the two columns have nothing to do with each other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from audit_paper import ABLATIONS, RETURNS, REUSE, TASKS, Cell

from analysis.matrix.cells import cell_table, reuse_table
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables
from analysis.tables.schema import TableError
from analysis.tables.units import seed_means
from testbed.config.study import ConfigError
from testbed.records.append_only import StoreError
from testbed.records.run_directory import RunDirectory
from testbed.reports.tables import read_run

MASTERMIND = ("gemma_2_9b", "Mastermind-v0")
COLUMNS = {
    ("qwen3_32b", "ALFWorld-v0"): "ALFWorld train",
    ("qwen3_32b", "ALFWorld-v0:split=train"): "ALFWorld OOD",
    MASTERMIND: "v0",
    ("gemma_2_9b", "Mastermind-v0-hard"): "Hard",
    ("gemma_2_9b", "Mastermind-v0-extreme"): "Extreme",
    ("gemma_3_4b", "Mastermind-v0"): "Gemma-3-4B",
    ("qwen3_32b", "Mastermind-v0"): "Qwen3-32B",
    ("llama_3_3_70b", "Mastermind-v0"): "Llama-3.3-70B",
}
"""Who plays what → the paper's column."""
ROWS = {"rag": "RAG", "expel": "ExpeL", "a_mem": "A-MEM", "awm": "AWM", "g_memory": "G-Memory"}
"""Our memory → the paper's row; the ablations are found by their own names."""
REUSED = ("v0", "Hard", "Extreme", "Gemma-3-4B", "Qwen3-32B")


def published(measure: str, row: str, column: str) -> Cell | None:
    """What the paper prints, or None. `row` is "State", "ProcMEM", a baseline or an ablation."""
    if measure == "coverage":
        return REUSE[REUSED.index(column)] if row == "ProcMEM" and column in REUSED else None
    if row in ABLATIONS:
        return ABLATIONS[row][0] if column == "v0" else None
    return RETURNS[row][TASKS.index(column)] if row in RETURNS else None


def beside(row: str, measure: str, cells: pd.DataFrame) -> Iterator[str]:
    """One line for each cell that the paper prints as well: memory of the paper's source, or none."""
    for cell in cells.to_dict("records"):
        player = (str(cell["agent"]), str(cell["task"]))
        column = COLUMNS.get(player)
        source = (cell["source_agent"], cell["source_task"])
        home = player if column in TASKS[:2] else MASTERMIND
        unlearned = cell["arm"] == "none"
        if column is None or not (unlearned or (cell["arm"] in ("self", "transfer") and source == home)):
            continue
        name = "State" if unlearned else row
        printed = published(measure, name, column)
        if printed is not None:
            ours = f"{cell[measure]:.3f} [{cell[f'{measure}_low']:.3f}, {cell[f'{measure}_high']:.3f}]"
            yield f"{name:18}{column:16}{printed[0]:.3f} ± {printed[1]:.3f}   {ours}   {cell['clusters']:g} runs"


def lines(tables: Tables, row: str, by: Resampler) -> Iterator[tuple[str, str]]:
    """Measure and line of everything that the paper prints of one memory."""
    for line in beside(row, "return", cell_table(tables, seed_means(tables.episodes), by)):
        yield "return", line
    for line in beside(row, "coverage", reuse_table(tables, by)):
        yield "reuse rate", line


def main(run: Path) -> None:
    """Print both, by measure."""
    directory = RunDirectory.open(run)
    config, found = directory.config(), read_run(directory)
    for agent in config.agents:
        print(f"{agent.name} is {agent.model}")
    by = Resampler(np.random.default_rng(config.seed), config.resamples)
    rows = {"ProcMEM": found.run} | {ROWS.get(name, _ablation(name)): each for name, each in found.memories.items()}
    shown = dict.fromkeys(pair for row, tables in rows.items() for pair in lines(tables, row, by))
    for measure in dict.fromkeys(measure for measure, _ in shown):
        print(f"\n{measure:34}{'paper':16}ours [95 % CI]")
        print("\n".join(line for kind, line in shown if kind == measure))
    if not shown:
        print("The paper prints no cell of this run.")


def _ablation(memory: str) -> str:
    return memory.replace("_", "-").replace("nppo", "NP-PPO")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name one run directory: python examples/beside_the_paper.py runs/matrix-…")
    try:
        main(Path(sys.argv[1]))
    except (ConfigError, StoreError, TableError) as error:
        sys.exit(f"Error: {error}")
