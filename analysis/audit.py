"""Audit: every number of a stored report, recomputed from the episodes alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from analysis.results import analyse
from analysis.statistics.bootstrap import Resampler
from analysis.tables.population import Annals
from analysis.tables.run import Tables

CHECKED = (
    "estimate",
    "low",
    "high",
    "p",
    "p_adjusted",
    "effect_size",
    "n_episodes",
    "n_clusters",
    "verdict",
    "sentence",
)
FORMAT = 1
"""Version of findings.json."""


class AuditError(ValueError):
    """A report that cannot be audited; the message says why and what to do."""


def audit(
    tables: Tables, recorded: Mapping[str, Any], stored: Mapping[str, pd.DataFrame], annals: Annals | None = None
) -> list[str]:
    """One sentence for each number of a report that the episodes do not give; none when all agree.

    `recorded` is `findings.json`, parsed; `stored` are the report's tables by name, as read from their Parquet files.
    Raises AuditError for another version of the file or one that lacks its seed.
    """
    if recorded.get("format") != FORMAT:
        raise AuditError(f"findings.json has format {recorded.get('format')!r}, not {FORMAT}; write the report again.")
    if absent := [name for name in ("seed", "resamples", "findings") if name not in recorded]:
        raise AuditError(f"findings.json lacks {absent[0]!r}; write the report again.")
    by = Resampler(np.random.default_rng(int(recorded["seed"])), int(recorded["resamples"]))
    found = analyse(tables, by, margin=recorded.get("margin"), annals=annals)
    now = {str(row["id"]): row for row in found.rows()}
    then = {str(row["id"]): cast(Mapping[str, Any], row) for row in recorded["findings"]}
    told = [f"{name}: in the report, but the episodes do not give it." for name in then if name not in now]
    told += [f"{name}: given by the episodes, but not in the report." for name in now if name not in then]
    for name in [name for name in then if name in now]:
        told += [
            f"{name}: {field} is {then[name].get(field)!r} in the report, the episodes give {now[name][field]!r}."
            for field in CHECKED
            if not _same(then[name].get(field), now[name][field])
        ]
    for name, frame in found.frames().items():
        if name in stored:
            told += [f"tables/{name}: {difference}." for difference in _differences(stored[name], frame)]
        elif len(frame):
            told.append(f"tables/{name}: given by the episodes, but not in the report.")
    return told


def _differences(then: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    if list(then.columns) != list(now.columns) or len(then) != len(now):
        return [f"{then.shape} rows and columns in the report, the episodes give {now.shape}"]
    told: list[str] = []
    for column in then.columns:
        pairs = zip(then[column].tolist(), now[column].tolist(), strict=True)
        told += [
            f"row {row}, {column} is {first!r} in the report, the episodes give {second!r}"
            for row, (first, second) in enumerate(pairs)
            if not _same(first, second) and not (pd.isna(first) and pd.isna(second))
        ]
    return told


def _same(first: object, second: object) -> bool:
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-12)
    return first == second
