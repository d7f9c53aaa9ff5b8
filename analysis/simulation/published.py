"""The published calibration: the full form of `procmem calibrate`, as shipped, shown by every report."""

from __future__ import annotations

import json
from pathlib import Path

from analysis.simulation.data import RUINOUS
from analysis.simulation.rows import TITLES, Row

FILE = Path(__file__).parent / "calibrated.json"
"""Written by `procmem calibrate --json`."""


def published() -> list[Row]:
    """The rows as simulated in full."""
    rows = json.loads(FILE.read_text(encoding="utf-8"))
    return [Row(**{key: value for key, value in row.items() if key != "meets"}) for row in rows]


def worst() -> str:
    """The extremes of what the report uses, and where it is at its worst, in sentences."""
    rows = published()
    used = {kind: [row for row in rows if row.promised and row.kind == kind] for kind in TITLES}
    covered, rates = [row.rate for row in used["interval"]], [row.rate for row in used["rate"]]
    erred, wrong = [row.rate for row in used["test"]], [row.rate for row in used["verdict"]]
    counts = sorted({row.clusters for row in rows if row.kind == "interval"})
    few = [row for row in rows if row.method == "t test, no guard" and row.clusters >= 5]
    ruined = [row for row in rows if row.world in {arms.name for arms in RUINOUS}]
    assumed, alone = (
        max(row.rate for row in ruined if row.method == name) for name in ("report", "report: on no assumption")
    )
    return (
        f"Simulated on clustered data of known truth at {counts[0]} to {counts[-1]} learning runs, the 95 % intervals "
        f"of means used here cover {min(covered):.1%} to {max(covered):.1%}, those of rates {min(rates):.1%} and more, "
        f"the tests at .05 reject up to {max(erred):.1%} of true null hypotheses, and verdicts on no assumption are "
        f"wrong up to {max(wrong):.1%} of the time (procmem calibrate). Where a few good pools decide the mean and "
        f"none of them was met, an interval of a mean misses it in up to {max(row.rate for row in few):.0%}: verdicts "
        "that this could overturn are withheld. The reverse cannot be told from pools that are all alike, so “better” "
        "is given “on an assumption” where unmet pools at the bottom of the task could undo it: where most pools help "
        f"a little and a few ruin so much that the mean difference is zero, such verdicts are wrong up to "
        f"{assumed:.0%} of the time, and those on no assumption up to {alone:.1%}."
    )
