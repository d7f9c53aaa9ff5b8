"""What one chart may hold. Every chart takes its rows through one of these, and its caption ends with their note."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

POINTS = 1_000
"""Points of a cloud."""
LINES = 24
"""Lines or learners side by side."""
BARS = 60
"""Bars of a chart."""
PARTS = 8
"""Parts of a bar; more colours cannot be told apart."""
TILES = 2_000
"""Tiles of a heatmap."""


def evenly(frame: pd.DataFrame, column: str, most: int = POINTS) -> tuple[pd.DataFrame, str]:
    """At most so many rows, evenly spaced in the order of a column, both ends among them."""
    if len(frame) <= most:
        return frame, ""
    picked = np.linspace(0, len(frame) - 1, most).round().astype(int)
    ordered = frame.sort_values(column, kind="stable")
    return ordered.iloc[picked], _note(most, len(frame), f"points, evenly spaced in {column.replace('_', ' ')}")


def first_groups(frame: pd.DataFrame, keys: Sequence[str], what: str, most: int = LINES) -> tuple[pd.DataFrame, str]:
    """The rows of the first so many groups, in the order of the frame."""
    groups = frame[list(keys)].drop_duplicates()
    if len(groups) <= most:
        return frame, ""
    return frame.merge(groups.head(most), on=list(keys)), _note(most, len(groups), what)


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
