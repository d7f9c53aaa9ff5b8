"""One row of the calibration: how often a method covered, or erred, in a world of known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.estimates import wilson

BOUNDS = {
    "interval": (0.93, 0.97),
    "rate": (0.93, 1.0),
    "test": (0.0, 0.06),
    "verdict": (0.0, 0.07),
    "e-test": (0.0, 0.06),
    "sequence": (0.94, 1.0),
    "e-verdict": (0.0, 0.07),
}
"""What coverage at 95 % (of means; of rates, which are lumpy; of confidence sequences, which are wide), rejection at
.05 and wrong verdicts must keep to where reports use a method."""
TITLES = {
    "interval": "Coverage of nominal 95 % intervals of means",
    "rate": "Coverage of nominal 95 % intervals of rates, of rank correlations, and of means at their worst case",
    "test": "Rejections at nominal .05 without any effect",
    "verdict": "Wrong verdicts at .05: “better” or “worse” without, “equivalent” with a mean difference",
    "e-test": "Looked at after every datum: rejections at .05 without any effect, at any look",
    "sequence": "Looked at after every datum: coverage of 95 % confidence sequences when the study stops",
    "e-verdict": "Adaptive studies: wrong verdicts at .05 when the study stops",
}


@dataclass(frozen=True)
class Row:
    """One method in one world: in which share of simulations it covered (interval, rate) or erred (test, verdict)."""

    kind: str
    method: str
    world: str
    clusters: int
    nominal: float
    rate: float
    low: float
    """Monte-Carlo interval of the rate (Wilson, 95 %)."""
    high: float
    simulations: int
    promised: bool
    """Whether the report uses this method here and promises to keep to the bounds."""

    @property
    def meets(self) -> bool:
        """Whether the rate keeps to the bounds, as far as the simulations can tell."""
        low, high = BOUNDS[self.kind]
        return self.low <= high and self.high >= low

    def plain(self) -> dict[str, str | int | float | bool]:
        """As a JSON object, with `meets`."""
        return {**vars(self), "meets": self.meets}


def row(kind: str, method: str, world: str, clusters: int, hits: NDArray[Any], *, promised: bool = False) -> Row:
    """From one hit or miss per simulation."""
    rate, n = float(np.mean(hits)), len(hits)
    low, high = wilson(np.array(rate), np.array(float(n)), 1.96)
    nominal = 0.95 if kind in ("interval", "rate", "sequence") else 0.05
    return Row(kind, method, world, clusters, nominal, rate, float(low), float(high), n, promised)


def markdown(rows: list[Row]) -> str:
    """A table a kind: a line per method and world, a column per number of clusters."""
    parts: list[str] = []
    for kind, title in TITLES.items():
        of_kind = [each for each in rows if each.kind == kind]
        if not of_kind:
            continue
        counts = sorted({each.clusters for each in of_kind})
        cells = {(each.method, each.world, each.clusters): each for each in of_kind}
        parts += [f"## {title}", "", f"| method | world | {' | '.join(f'{n} clusters' for n in counts)} |"]
        parts.append("|--|--|" + "--|" * len(counts))
        for method, world in dict.fromkeys((each.method, each.world) for each in of_kind):
            found = [cells.get((method, world, count)) for count in counts]
            parts.append(f"| {method} | {world} | {' | '.join(_text(each) for each in found)} |")
        parts.append("")
    return "\n".join(parts)


def _text(found: Row | None) -> str:
    if found is None:
        return ""
    rate = f"{found.rate:.1%} ({found.low:.1%}–{found.high:.1%})"
    return f"**{rate}**{'' if found.meets else ' ✗'}" if found.promised else rate
