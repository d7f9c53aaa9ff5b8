"""The paper's own tables, re-read from their printed means, ± and n: what they can and cannot show.

Run it from the repository root: `python examples/audit_paper.py`. Nothing is simulated. Assumptions:

A1  n = 50 independent episodes a cell (the paper's setup). Learning runs are not reported, so the spread between pools,
    which every claim about a *learned* pool needs, is unknown: the p values below are the most generous reading.
A2  On Mastermind, the ± of a cell is taken as the standard deviation over those episodes.
A3  ALFWorld returns are success rates: an episode returns 0 or 1, so the nearest counts are compared (Barnard).
A4  Printed figures are rounded to three decimals.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import isclose, sqrt

import numpy as np
from scipy import stats

from analysis.matrix.comparison.paper import Paper
from analysis.statistics.multiplicity import holm
from analysis.statistics.significance import barnard

EPISODES = 50
Cell = tuple[float, float]
"""Mean and ± as printed."""
TASKS = ("ALFWorld train", "ALFWorld OOD", "v0", "Hard", "Extreme", "Gemma-3-4B", "Qwen3-32B", "Llama-3.3-70B")
BINARY = TASKS[:2]


ROWS = {"none": "State", "rag": "RAG", "cot": "CoT", "react": "ReAct", "expel": "ExpeL", "a_mem": "A-MEM"}
ROWS |= {"awm": "AWM", "g_memory": "G-Memory", "skills": "ProcMEM"}
"""The paper's names for memories and ways to play."""
_PRINTED = Paper("2602.01869", {}, {}).values()


def _cells(table: str, measure: str, memory: str) -> tuple[Cell, ...]:
    """What a table of the paper prints of a memory, in the order of its columns."""
    found = _PRINTED.query("table == @table and measure == @measure and memory == @memory")
    return tuple(zip(found["mean"], found["spread"], strict=True))


RETURNS = {name: _cells("returns", "return", memory) for memory, name in ROWS.items()}
REUSE = _cells("reuse rates", "coverage", "skills")
"""Reuse rates on v0, Hard, Extreme, with Gemma-3-4B, with Qwen3-32B."""
ABLATIONS = {"without-skill": RETURNS["State"][2:3]} | {
    memory.replace("_", "-").replace("nppo", "NP-PPO"): _cells("ablations", "return", memory)
    for memory in ("without_nppo", "without_gradient", "without_gate", "without_score")
}
"""Returns on Mastermind-v0, against the full method's .606 ± .234."""
PASS_RATES = {"full": (0.5949, 0.4909), "without-gradient": (0.4154, 0.3606), "without-score": (0.5718, 0.4206)}


def batches(cell: Cell, units: int, count: int, ddof: int) -> list[tuple[int, ...]]:
    """Numbers of used units per batch whose mean and SD (as shares of `units`) round to what is printed (A4)."""
    mean, spread = cell
    total = round(mean * units * count)
    if not isclose(total / (units * count), mean, abs_tol=6e-4):
        return []
    found = (used for used in combinations_with_replacement(range(units + 1), count) if sum(used) == total)
    return [used for used in found if isclose(float(np.std(used, ddof=ddof)) / units, spread, abs_tol=6e-4)]


def reuse_designs() -> list[tuple[int, int, str]]:
    """Every (stored units, batches, kind of SD) that explains all printed reuse cells at once."""
    designs = [(units, count, ddof) for units in range(2, 11) for count in range(2, 7) for ddof in (0, 1)]
    fits = [design for design in designs if all(batches(cell, *design) for cell in REUSE)]
    return [(units, count, "sample SD" if ddof else "population SD") for units, count, ddof in fits]


def spread_kind(cell: Cell, n: int = EPISODES) -> str:
    """What the ± of a success rate is (A3): the SD of 0/1 outcomes is settled by their mean, and so is its error."""
    mean, spread = cell
    deviation = sqrt(mean * (1 - mean))
    if isclose(spread, deviation, abs_tol=0.006):
        return "standard deviation"
    return "standard error" if isclose(spread, deviation / sqrt(n), abs_tol=0.0015) else "neither"


def possible(rate: float, n: int = EPISODES) -> bool:
    """Whether a success rate printed to three decimals can come from n episodes (A3, A4)."""
    return isclose(round(rate * n) / n, rate, abs_tol=6e-4)


def smallest_n(rate: float) -> int:
    """Fewest episodes that give the printed rate."""
    return next(n for n in range(1, 1000) if possible(rate, n))


def p_value(task: str, first: Cell, second: Cell, n: int = EPISODES) -> float:
    """Two-sided p: Welch's t from means and SDs (A1, A2); on ALFWorld Barnard's test of the nearest counts (A3)."""
    if task not in BINARY:
        return float(stats.ttest_ind_from_stats(*first, n, *second, n, equal_var=False).pvalue)
    return barnard(round(first[0] * n), n, round(second[0] * n), n).p


def against(rivals: list[str]) -> list[tuple[str, str, float, float, float]]:
    """ProcMEM less the best of the rivals in each column: task, rival, difference, p, p adjusted (Holm)."""
    rows: list[tuple[str, str, float, float]] = []
    for column, task in enumerate(TASKS):
        rival = max(rivals, key=lambda name: RETURNS[name][column][0])
        ours, theirs = RETURNS["ProcMEM"][column], RETURNS[rival][column]
        rows.append((task, rival, ours[0] - theirs[0], p_value(task, ours, theirs)))
    adjusted = holm(np.array([row[3] for row in rows])).tolist()
    return [(*row, p) for row, p in zip(rows, adjusted, strict=True)]


def ablations() -> list[tuple[str, str, float, float, float]]:
    """The full method less each ablation on v0, as `against`."""
    full = RETURNS["ProcMEM"][2]
    rows = [("v0", name, full[0] - cell[0], p_value("v0", full, cell)) for name, (cell,) in ABLATIONS.items()]
    adjusted = holm(np.array([row[3] for row in rows])).tolist()
    return [(*row, p) for row, p in zip(rows, adjusted, strict=True)]


def main() -> None:
    """Print the audit."""
    print(__doc__)
    print("1. Reuse: which designs give all five printed cells of ProcMEM?")
    for units, count, kind in reuse_designs():
        print(f"   only {units} stored units × {count} batches, {kind}: the ± is no spread over learning runs")
    print("\n2. ALFWorld: what is the ±, and can the rate come from 50 episodes?")
    for name, cells in RETURNS.items():
        for task, cell in zip(BINARY, cells, strict=False):
            rate = "possible" if possible(cell[0]) else f"not of 50 episodes (the fewest are {smallest_n(cell[0])})"
            print(f"   {name:9}{task:16}{cell[0]:.3f} ± {cell[1]:.3f}: {spread_kind(cell):20}rate {rate}")
    print("   Rows with standard errors and rows with standard deviations stand in one table without a word.")
    print("\n3. Gate pass rate: is the ± the SD of pass and fail, √(p(1 − p))?")
    for name, (mean, spread) in PASS_RATES.items():
        same = "yes" if isclose(spread, sqrt(mean * (1 - mean)), abs_tol=6e-4) else "no"
        print(f"   {name:17}{mean:.4f} ± {spread:.4f}, √(p(1 − p)) = {sqrt(mean * (1 - mean)):.4f}: {same}")
    _print(
        "4. ProcMEM less the best other method (Holm over the columns)", against([n for n in RETURNS if n != "ProcMEM"])
    )
    _print("5. ProcMEM less no memory (Holm over the columns)", against(["State"]))
    _print("6. The full method less its ablations (Holm over five)", ablations())
    print("\n7. Every transfer has one source: without a K × K matrix nothing is shown about whose memory travels.")


def _print(title: str, rows: list[tuple[str, str, float, float, float]]) -> None:
    print(f"\n{title}")
    for task, rival, difference, p, adjusted in rows:
        verdict = "undecided" if adjusted > 0.05 else "better" if difference > 0 else "worse"
        print(f"   {task:16}{rival:17}{difference:+.3f}  p = {p:.3f}, adjusted {adjusted:.3f}: {verdict}")


if __name__ == "__main__":
    main()
