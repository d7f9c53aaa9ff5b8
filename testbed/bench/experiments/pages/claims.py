"""Differences with their intervals as the rows of a headline: decided where an interval leaves out 0."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from analysis.findings import Verdict
from analysis.report.headline import Claim


def verdict(low: float, high: float) -> Verdict:
    if low > 0:
        return "better"
    return "worse" if high < 0 else "undecided"


def claim(name: str, row: Mapping[Hashable, Any] | Mapping[str, Any], value: str = "gain") -> Claim:
    """A row with `low` and `high`."""
    return Claim(name, verdict(row["low"], row["high"]), float(row[value]), float(row["low"]), float(row["high"]))


def decided_and_open(claims: Sequence[Claim]) -> tuple[list[str], list[str]]:
    """Their names."""
    decided, open = (
        [each.name for each in claims if (each.verdict == "undecided") == is_open] for is_open in (False, True)
    )
    return decided, open
