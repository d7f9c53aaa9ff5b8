"""The page of a bottleneck study: what a better part would pay, at one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.findings import number
from analysis.report.headline import Cost, Headline, shortened, signed
from analysis.report.page import PageTable, Section
from analysis.report.write import write_page
from testbed.bench.experiments.bottleneck import PARTS, sentence, with_bounds
from testbed.bench.experiments.pages.claims import claim


def write_bottleneck(
    table: pd.DataFrame, known: Mapping[str, float], costs: Sequence[Cost | None], title: str, out: Path
) -> None:
    """report.html, headline.svg and headline.png under `out`. `table`: of `bottleneck`, `known`: of `baselines`;
    `costs` of all the runs behind them."""
    rows = [
        (row["part"], PARTS[row["part"]], number(row["own"]), with_bounds(row["gain"], row["low"], row["high"]),
         str(row["runs"]))
        for row in table.to_dict("records")
    ]  # fmt: skip
    head = (
        "oracle in place of",
        "what it does",
        "return",
        "gain over the study as it is [95 % together]",
        "learning runs",
    )
    parts = PageTable("Parts", head, tuple(rows), "paired by learning run on common environment seeds", True)
    out.mkdir(parents=True, exist_ok=True)
    section = Section("parts", "Where a better part would pay", tables=(parts,))
    write_page(
        title, "The same study with an oracle in place of each part.", [section], out, top_of(table, known, costs)
    )


def top_of(table: pd.DataFrame, known: Mapping[str, float], costs: Sequence[Cost | None]) -> Headline:
    """The headline; a gain is decided where its interval leaves out 0."""
    rows = table.to_dict("records")
    claims = tuple(claim(f"better {row['part']} − as it is", row) for row in rows)
    undecided = [
        f"{row['part']} ({signed(row['gain'])})"
        for row, each in zip(rows, claims, strict=True)
        if each.verdict == "undecided"
    ]
    as_it_is = f"{number(known['self'], 2)} with its own pool, {number(known['seed'], 2)} with the seed pool"
    return Headline(
        grids=(),
        claims=claims,
        decided=shortened(sentence(table)),
        open=shortened(f"{', '.join(undecided)}: more learning runs would narrow them.") if undecided else "no part.",
        basis=f"{int(table['runs'].min())} learning runs a part, paired on common environment seeds; the study as it "
        f"is earns {as_it_is}, {number(known['none'], 2)} without memory. Oracles know their game's truth, so this "
        "says what a perfect part would pay there; intervals hold together at 95 %.",
        cost=_sum(costs).sentence if any(costs) else "not counted.",
    )


def _sum(costs: Sequence[Cost | None]) -> Cost:
    kept = [each for each in costs if each is not None]
    money = [each.money for each in kept if each.money is not None]
    hours = float(np.sum([each.hours or 0.0 for each in kept]))
    return Cost(sum(each.tokens for each in kept), hours, sum(money) if money else None)
