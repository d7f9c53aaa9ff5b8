"""The published calibration: the full form of `procmem calibrate`, as shipped, shown by every report."""

from __future__ import annotations

import json
from pathlib import Path

from analysis.simulation.rows import Row

FILE = Path(__file__).parent / "calibrated.json"
"""Written by `procmem calibrate --json`."""


def published() -> list[Row]:
    """The rows as simulated in full."""
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    return [Row(**{key: value for key, value in row.items() if key != "meets"}) for row in rows]


def worst() -> str:
    """The extremes of what the report uses, in a sentence."""
    used = [row for row in published() if row.promised]
    covered = [row.rate for row in used if row.kind == "interval"]
    erred = [row.rate for row in used if row.kind == "test"]
    return (
        f"Simulated on clustered data of known truth at 5, 10 and 30 clusters, the 95 % intervals used here cover "
        f"{min(covered):.1%} to {max(covered):.1%} and the tests at .05 reject {min(erred):.1%} to {max(erred):.1%} of "
        "true null hypotheses (procmem calibrate)."
    )
