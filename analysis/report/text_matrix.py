"""The matrix as plain rows of text: for the terminal, CSV readers and the page's table."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.findings import number
from analysis.matrix.contrasts import ARMS
from analysis.tables.run import CELL


@dataclass(frozen=True)
class TextMatrix:
    """Rows of text under a header; the first column names the pool, the others the evaluated agent and task."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def text_matrix(cells: pd.DataFrame, measure: str = "return", digits: int = 3) -> TextMatrix:
    """Memory × target with intervals, of `Findings.cells` or `Findings.reuse`. An empty place: a cell not run."""
    frame = ordered(cells)
    frame = frame.assign(row=row_labels(frame), column=column_labels(frame))
    columns = list(dict.fromkeys(frame.sort_values(["task", "agent"], kind="stable")["column"]))
    ends = ((f"{measure}_low", f"{measure}_high"),)
    texts = {
        (row["row"], row["column"]): _cell(row[measure], row[ends[0][0]], row[ends[0][1]], digits)
        for row in frame.to_dict("records")
    }
    rows = tuple(
        (label, *(texts.get((label, column), "") for column in columns)) for label in dict.fromkeys(frame["row"])
    )
    least, most = int(frame["clusters"].min()), int(frame["clusters"].max())
    runs = f"{least}" if least == most else f"{least} to {most}"
    episodes = int(frame["n"].sum())
    note = f"{measure}: mean [95 % CI over learning runs]; {runs} learning runs and {episodes} episodes in all"
    return TextMatrix(measure, ("memory", *columns), rows, note)


def ordered(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells in the order of the page: baselines, own pools, transferred pools, controls."""
    known = {arm: rank for rank, arm in enumerate(ARMS)}
    ranks = [known.get(str(arm), len(known)) for arm in cells["arm"]]
    texts = cells.assign(**{name: cells[name].astype("str") for name in CELL}, rank=ranks)
    texts = texts.sort_values(["rank", "arm", "source_agent", "source_task", "task", "agent"], kind="stable")
    return texts.drop(columns="rank")


def row_labels(cells: pd.DataFrame) -> list[str]:
    """Which memory a cell carries, in words."""
    labels: list[str] = []
    for arm, source, home, agent, task in cells[CELL].astype("str").itertuples(index=False):
        pool = "" if not source else "own pool" if (source, home) == (agent, task) else f"pool of {source} · {home}"
        kind = "" if arm in ("self", "transfer") else ARMS.get(arm, arm)
        labels.append(", ".join(filter(None, [kind, pool])))
    return labels


def column_labels(cells: pd.DataFrame) -> list[str]:
    """Who is evaluated where, in words."""
    return [f"{agent} · {task}" for agent, task in cells[["agent", "task"]].astype("str").itertuples(index=False)]


def labelled(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells with both labels, in columns memory and target."""
    return cells.assign(memory=row_labels(cells), target=column_labels(cells))


def _cell(estimate: float, low: float, high: float, digits: int) -> str:
    if pd.isna(estimate):
        return "no data"
    ends = "" if pd.isna(low) or pd.isna(high) else f" [{number(low, digits)}, {number(high, digits)}]"
    return number(estimate, digits) + ends
