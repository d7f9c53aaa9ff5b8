"""What a column is, and whether a frame has the columns that an analysis reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd


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


def _typed(values: pd.Series, column: Column, table: str) -> pd.Series:
    missing = values.isna()
    if missing.any() and not column.blank:
        row = int(np.flatnonzero(missing)[0])
        raise TableError(f"The {table} table has no value for {column.name!r} in row {row}; fill it or drop the row.")
    if column.kind == "text":
        return _texts(values).where(~missing)
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    wrong = numbers.isna() & ~missing
    if column.kind in ("integer", "truth") and not wrong.any():
        wrong = numbers.notna() & ((numbers % 1 != 0) if column.kind == "integer" else ~numbers.isin([0, 1]))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        kind = {"integer": "a whole number", "truth": "true or false", "number": "a number"}[column.kind]
        sentence = f"The {table} table has “{values.iloc[row]}” for {column.name!r} in row {row}; it must be {kind}."
        raise TableError(sentence)
    return numbers.astype("int64") if column.kind == "integer" and not missing.any() else numbers


def _texts(values: pd.Series) -> pd.Series:
    try:
        return values.astype("str")
    except UnicodeEncodeError:  # halves of characters, which no file can hold: a folder may be called so
        return values.map(lambda text: str(text).encode("utf-8", "replace").decode("utf-8")).astype("str")
