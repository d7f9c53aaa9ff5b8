"""What one chart may hold. Every chart takes its rows through one of these, and its caption ends with their note."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.report.text_matrix import ordered
from analysis.tables.run import CELL

ROWS = 3_000
"""Rows of any chart; Altair refuses more than 5,000."""
POINTS = 1_000
"""Points of a cloud."""
LINES = 24
"""Lines or learners side by side."""
BARS = 60
"""Bars of a chart."""
PARTS = 8
"""Parts of a bar; more colours cannot be told apart."""
EDGES = 400
"""Lines of a network."""


def evenly(frame: pd.DataFrame, column: str, most: int = POINTS) -> tuple[pd.DataFrame, str]:
    """At most so many rows, evenly spaced in the order of a column, both ends among them."""
    if len(frame) <= most:
        return frame, ""
    picked = np.linspace(0, len(frame) - 1, most).round().astype(int)
    ordered = frame.sort_values(column, kind="stable")
    return ordered.iloc[picked], _note(most, len(frame), f"points, evenly spaced in {column.replace('_', ' ')}")


def first_groups(frame: pd.DataFrame, keys: Sequence[str], what: str, most: int = LINES) -> tuple[pd.DataFrame, str]:
    """The rows of the first so many groups, in the order of the frame, as long as they are no more than ROWS."""
    sizes = frame.groupby(list(keys), observed=True, sort=False).size()
    held = min(most, max(1, int((sizes.cumsum() <= ROWS).sum())))
    if len(sizes) <= held:
        return frame, ""
    groups = sizes.index[:held].to_frame(index=False)
    return frame.merge(groups, on=list(keys)), _note(held, len(sizes), what)


def tiles(cells: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The first memories of a matrix, in the order of the page, as many as one heatmap holds."""
    targets = len(cells[["agent", "task"]].drop_duplicates())
    return first_groups(ordered(cells), CELL[:3], "memories", max(1, ROWS // max(1, targets)))


def largest(frame: pd.DataFrame, column: str, most: int, what: str) -> tuple[pd.DataFrame, str]:
    """The rows with the largest values of a column, in the order of the frame."""
    if len(frame) <= most:
        return frame, ""
    ranks = frame[column].rank(method="first", ascending=False)
    return frame[ranks <= most], _note(most, len(frame), f"{what} with the largest {column.replace('_', ' ')}")


def lump_parts(shares: pd.DataFrame, bar: Sequence[str], most: int = PARTS) -> pd.DataFrame:
    """The largest parts of every bar (columns unit, name, calls, share); what is left of it is one part, “others”."""
    keys = list(bar)
    ranked = shares.sort_values([*keys, "share", "unit"], ascending=[*[True] * len(keys), False, True], kind="stable")
    place = ranked.groupby(keys, observed=True).cumcount()
    kept, rest = ranked[place < most], ranked[place >= most]
    sums = rest.groupby(keys, observed=True).agg(calls=("calls", "sum"), share=("share", "sum"), n=("unit", "size"))
    others = sums.reset_index().assign(name="others")
    others = others.assign(unit=others["n"].astype(str) + " others").drop(columns="n")
    return pd.concat([kept, others], ignore_index=True)


def _note(shown: int, of: int, what: str) -> str:
    return f" Drawn: {shown:,} of {of:,} {what}; the tables hold all."
