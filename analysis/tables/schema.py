"""What a column is, and whether a frame has the columns that an analysis reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from analysis.tables.run import (
    _typed,
)


class TableError(ValueError):
    """A table that cannot be analysed; the message names the place and the remedy."""


@dataclass(frozen=True)
class Column:
    """One documented column. `kind` truth is a bool; `blank` says that values may be missing."""

    name: str
    kind: Literal["text", "integer", "number", "truth"]
    meaning: str
    blank: bool = False


def check(frame: pd.DataFrame | None, columns: Sequence[Column], table: str) -> pd.DataFrame:
    """A copy with documented types; None gives the empty table. Columns that are not documented are kept."""
    if frame is None:
        frame = pd.DataFrame({column.name: [] for column in columns})
    if absent := [column.name for column in columns if column.name not in frame.columns]:
        raise TableError(
            f"The {table} table lacks the column {absent[0]!r} (it has {len(frame.columns)} columns); add it."
        )
    checked = frame.reset_index(drop=True).copy()
    for column in columns:
        checked[column.name] = _typed(checked[column.name], column, table)
    return checked
