"""What gates admitted, of candidates that gain and of those that do not, and by how much two gates differ."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import SHARE_DIFFERENCE, mean_intervals
from analysis.statistics.rates import rate_interval

WORTH = 0.05
"""Gain in return from which on a candidate is worth having."""
LEVEL = 0.95
"""Of all intervals of one table together (Bonferroni)."""


def rates(judged: pd.DataFrame, *, worth: float = WORTH) -> pd.DataFrame:
    """Per gate: share admitted of candidates that gain at least `worth`, that gain at all, and that do not; 95 %.

    Intervals are over parents.
    """
    kinds = {
        f"gain ≥ {worth:g}": judged["true_gain"] >= worth,
        "gain > 0": judged["true_gain"] > 0,
        "gain ≤ 0": judged["true_gain"] <= 0,
    }
    rows: list[dict[str, Any]] = []
    for name, group in judged.groupby("gate", sort=False):
        row: dict[str, Any] = {"gate": name, "tokens": group["tokens"].mean()}
        for kind, mask in kinds.items():
            found = _rate(group[mask[group.index]])
            row |= {kind if not name else f"{kind}: {name}": value for name, value in found.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _rate(candidates: pd.DataFrame) -> dict[str, float]:
    """The share admitted (""), its bounds, and how many candidates; NaN of none."""
    by_parent = candidates.groupby("parent")["admitted"].agg(["sum", "count"])
    if by_parent.empty:
        return {"": np.nan, "low": np.nan, "high": np.nan, "n": 0}
    passed, count = by_parent["sum"].to_numpy(float), by_parent["count"].to_numpy(float)
    low, high = rate_interval(passed[None], count[None])
    return {
        "": float(passed.sum() / count.sum()),
        "low": float(low[0]),
        "high": float(high[0]),
        "n": int(count.sum()),
    }


def admitted(row: Mapping[Hashable, Any] | Mapping[str, Any], kind: str) -> str:
    """A share of `rates` in words."""
    if not row[f"{kind}: n"]:
        return "—"
    return f"{row[kind]:.2f} ({row[f'{kind}: low']:.2f} to {row[f'{kind}: high']:.2f})"


def kinds(table: pd.DataFrame) -> list[str]:
    """The kinds of candidates whose shares a table of `rates` has."""
    return [str(name).removesuffix(": n") for name in table if str(name).endswith(": n")]


def against(
    judged: pd.DataFrame, reference: str, by: Sequence[str] = ("gate",), *, worth: float = WORTH
) -> pd.DataFrame:
    """What each gate admits more than the reference does, of the same candidates that gain at least `worth`.

    One row per other gate (or combination of `by`, whose last column is the gate): gain, low, high (95 % together,
    over parents, each weighing the same), parents. Empty where no candidate gains so much.
    """
    worthy = judged[judged["true_gain"] >= worth].astype({"admitted": float})
    shares = worthy.pivot_table(index="parent", columns=list(by), values="admitted", aggfunc="mean", sort=False)
    names: list[tuple[str, ...]] = [name if isinstance(name, tuple) else (str(name),) for name in shares.columns]
    places = {name: place for place, name in enumerate(names)}
    others = [name for name in names if name[-1] != reference and (*name[:-1], reference) in places]
    if not others:
        return pd.DataFrame(columns=[*by, "gain", "low", "high", "parents"])
    table = shares.to_numpy(float).T
    gains = np.stack([table[places[name]] - table[places[*name[:-1], reference]] for name in others])
    level = 1 - (1 - LEVEL) / len(others)
    found = mean_intervals(gains, Resampler(np.random.default_rng(0), level=level), SHARE_DIFFERENCE)
    return pd.DataFrame(
        {**dict(zip(by, name, strict=True)), "gain": each.estimate, "low": each.low, "high": each.high,
         "parents": each.clusters}
        for name, each in zip(others, found, strict=True)
    )  # fmt: skip
