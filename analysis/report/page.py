"""What a page is made of: sections of text, charts and tables, as plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.findings import number
from analysis.report.figures import matrix
from analysis.tables.run import Transcript

TABLE_ROWS = 200
"""Rows of a table on the page."""


@dataclass(frozen=True)
class Figure:
    """A chart with its file name and what it shows, in words. It is made when it is drawn, behind a barrier."""

    id: str
    title: str
    caption: str
    chart: Callable[[], matrix.Chart]


@dataclass(frozen=True)
class PageTable:
    """A table of text on the page."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    open: bool = False


@dataclass(frozen=True)
class Section:
    """One part of the page. Everything in it is text; the template escapes it."""

    id: str
    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    charts: tuple[Figure, ...] = ()
    tables: tuple[PageTable, ...] = ()
    transcripts: tuple[Transcript, ...] = ()


def frame_table(
    frame: pd.DataFrame, title: str, note: str, measures: Sequence[str], labels: Sequence[str]
) -> PageTable:
    """Label columns as they are, then each measure with its interval where it has one; at most TABLE_ROWS rows."""
    rows = tuple(
        (*(str(row[label]) for label in labels), *(_with_interval(row, measure) for measure in measures))
        for row in frame.head(TABLE_ROWS).to_dict("records")
    )
    names = (*labels, *(measure.replace("_", " ") for measure in measures))
    return PageTable(title, names, rows, note + rows_note(len(frame)))


def rows_note(rows: int) -> str:
    """What a table's note says of rows that are left out."""
    return f". The first {TABLE_ROWS} of {rows:,} rows; the files under tables/ hold all" if rows > TABLE_ROWS else ""


def _with_interval(row: dict[Hashable, Any], measure: str) -> str:
    value = row[measure]
    if not isinstance(value, (int, float)) or math.isnan(value):
        why = str(row.get(f"{measure}_method", ""))
        return f"— ({why})" if why.startswith(("suppressed", "no ")) else "—"
    low, high = row.get(f"{measure}_low"), row.get(f"{measure}_high")
    if isinstance(low, float) and isinstance(high, float) and not math.isnan(low + high):
        return f"{number(value)} [{number(low)}, {number(high)}]"
    return number(float(value))
