"""The page of gradient isolation: is the planted error named, and does aggregation filter what is not?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.report.figures import intervals
from analysis.report.headline import Headline, shortened
from analysis.report.page import Figure, PageTable, Section
from analysis.report.write import write_page
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import SHARE_DIFFERENCE, mean_intervals
from analysis.statistics.rates import rate_interval
from testbed.bench.experiments.pages.claims import claim, decided_and_open

LEVEL = 0.95
"""Of both differences together (Bonferroni)."""
LEVELS = {
    "planted": "gradients of trajectories with the error",
    "clean": "gradients of trajectories without it",
    "aggregate": "what aggregation made of the batch",
}
MEASURED = (
    "A scripted player of Repeat-v0 opens boxes that it has opened before: that is the planted error. Another never "
    "does, and its returns differ by luck alone. Batches mix the two; the critic explains each trajectory, the "
    "aggregation consolidates the batch, and a text counts as naming the error where it speaks of opening the same "
    "box again. That search is crude: how often it fires for nothing shows in the gradients of clean trajectories."
)
SHOWN = 8
"""Aggregates that are shown as they were written."""


def named_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Share of usable texts that name the error, by noise and level, with 95 % intervals over batches, and n texts."""
    usable = table[table["named"].notna()].astype({"named": bool})
    records: list[dict[str, object]] = []
    for noise in sorted(usable["noise"].unique()):
        for level in LEVELS:
            texts = usable[(usable["noise"] == noise) & (usable["level"] == level)]
            if texts.empty:
                continue
            counts = texts.groupby("replicate")["named"].agg(["sum", "count"])
            low, high = rate_interval(counts["sum"].to_numpy(float)[None], counts["count"].to_numpy(float)[None])
            found = {"value": float(counts["sum"].sum() / counts["count"].sum()), "low": float(low[0])}
            records.append({"noise": int(noise), "level": level, **found, "high": float(high[0]), "n": len(texts)})
    return pd.DataFrame(records, columns=["noise", "level", "value", "low", "high", "n"])


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """Two differences of shares, paired within batches: planted − clean, and aggregate − the batch's gradients.

    Columns: name, gain, low, high (95 % together, over batches), batches. A difference that no batch has is left out.
    """
    usable = table[table["named"].notna()].astype({"named": float})
    by = usable.groupby(["noise", "replicate", "level"])["named"].mean().unstack("level").reindex(columns=list(LEVELS))
    whole = usable[usable["level"] != "aggregate"].groupby(["noise", "replicate"])["named"].mean().reindex(by.index)
    both = {
        "named in planted − in clean trajectories": by["planted"] - by["clean"],
        "aggregate − single gradients, where most have the error": (by["aggregate"] - whole)[
            by.index.get_level_values("noise") < _half(table)
        ],
    }
    found = {name: values.dropna() for name, values in both.items() if values.notna().any()}
    records: list[dict[str, object]] = []
    for name, values in found.items():
        resampler = Resampler(np.random.default_rng(0), level=1 - (1 - LEVEL) / len(found))
        (each,) = mean_intervals(values.to_numpy(float)[None], resampler, SHARE_DIFFERENCE)
        records.append(
            {"name": name, "gain": each.estimate, "low": each.low, "high": each.high, "batches": len(values)}
        )
    return pd.DataFrame(records, columns=["name", "gain", "low", "high", "batches"])


def _half(table: pd.DataFrame) -> float:
    """Half of a batch: with fewer clean trajectories than this, most have the error."""
    gradients = table[table["level"] != "aggregate"]
    return gradients.groupby(["noise", "replicate"]).size().max() / 2


def top_of(table: pd.DataFrame, critic: str, cost: str) -> Headline:
    found = differences(table)
    claims = tuple(claim(str(row["name"]), row) for row in found.to_dict("records"))
    shares = named_shares(table)
    mean = {level: shares[shares["level"] == level]["value"].mean() for level in LEVELS}
    said = [f"{LEVELS[level]} name it in {mean[level]:.0%}" for level in LEVELS if np.isfinite(mean[level])]
    decided, open = decided_and_open(claims)
    unusable = int(table["named"].isna().sum())
    return Headline(
        grids=(),
        claims=claims,
        decided=shortened(f"{'; '.join(decided) or 'Nothing'}. On average over the mixtures, {', '.join(said)}."),
        open=shortened("; ".join(open)) or "none of these.",
        basis=shortened(
            f"{len(table[['noise', 'replicate']].drop_duplicates())} batches of {2 * _half(table):g} trajectories, "
            f"critic {critic}; {unusable} of {len(table)} texts were not usable. Differences are paired within "
            "batches; intervals hold together at 95 %."
        ),
        cost=cost,
        measure="difference in share that name the error",
    )  # fmt: skip


def write_isolation(table: pd.DataFrame, critic: str, cost: str, out: Path) -> None:
    """report.html and its headline under `out`. `table`: of `isolate`; `critic`: the model that wrote the texts."""
    shares = named_shares(table)
    frame = shares.assign(
        panel=shares["level"].map(LEVELS), label=[f"{noise} clean of {2 * _half(table):g}" for noise in shares["noise"]]
    )
    chart = Figure(
        "named",
        "Share of texts that name the planted error",
        "By how many trajectories of a batch are free of it; 95 % intervals over batches.",
        lambda: intervals.rows(frame, "share that name the error"),
    )
    body = tuple(
        (str(row["noise"]), LEVELS[row["level"]], _share(row), str(row["n"])) for row in shares.to_dict("records")
    )
    note = "95 % intervals over batches; of clean trajectories it is the rate of false alarms"
    counts = PageTable("Named", ("clean trajectories", "texts", "share that name the error", "n"), body, note, True)
    sections = [
        Section("named", "Is the planted error named?", tables=(counts, _texts(table)), charts=(chart,)),
        Section("measured", "How it was measured", (MEASURED,)),
    ]
    out.mkdir(parents=True, exist_ok=True)
    subtitle = "Does a semantic gradient name an error that is known to be there, or noise?"
    write_page("Gradient isolation", subtitle, sections, out, top_of(table, critic, cost))


def _share(row: Mapping[Hashable, Any]) -> str:
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _texts(table: pd.DataFrame) -> PageTable:
    written = table[table["level"] == "aggregate"].head(SHOWN).to_dict("records")
    body = tuple((str(row["noise"]), "yes" if row["named"] else "no", str(row["text"])) for row in written)
    return PageTable("Aggregates as they were written", ("clean trajectories", "names it", "text"), body)
