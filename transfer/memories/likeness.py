"""Likeness: which stored texts are likest to a query, the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agents.embedding import Embedder
from transfer.memory.memory import Seat, Unit


def likeness(embedder: Embedder, query: str, keys: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Cosine of the query with each key, rounded to 10⁻⁶: embedders differ in the last digits."""
    if not keys:
        return np.zeros(0)
    query_row, *rows = embedder.embed([query, *keys])
    return np.round(np.stack(rows).astype(np.float64) @ query_row, 6)


def nearest(seat: Seat, query: str, units: Sequence[Unit], k: int, prefer: Mapping[str, float] = {}) -> Sequence[Unit]:
    """The k units whose keys are likest to the query; equal ones by `prefer`, then the latest first, then by id.

    Units stand in the order of their writing.
    """
    alike = likeness(seat.embedder, query, [unit.key for unit in units])
    order = sorted(
        range(len(units)), key=lambda index: (-alike[index], -prefer.get(units[index].id, 0.0), -index, units[index].id)
    )
    return [units[index] for index in order[:k]]
