"""Pages of studies that hold gates against candidates of known worth: gates compared, and rewards made harder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.findings import number
from analysis.report.figures import intervals
from analysis.report.headline import Claim, Headline, shortened
from analysis.report.page import Figure, PageTable, Section
from analysis.report.write import write_page
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import mean_intervals
from testbed.bench.experiments.gates.comparison import PAPER
from testbed.bench.experiments.gates.rates import WORTH, admitted, against, kinds, rates
from testbed.bench.experiments.gates.reward_channels import channel_rates
from testbed.bench.experiments.pages.claims import claim

MEASURED = (
    "Scripted players read their whole policy out of the skill, as numbers, so that every candidate's true gain is "
    "known before a game is played. Random parents play; every gate judges the same random variations of each by "
    "the same games. Shares have 95 % intervals with parents as clusters. Tokens per candidate are those of duels "
    "and of scored prompts, as if nothing were cached; what the parent played anyway is free."
)
NONE_WORTHY = f"no candidate gained {WORTH:g} or more; take more parents."
LIKELY, RACE = "likelihood: ΔJ > 0", "race, 96 pairs"
"""The gates whose difference the page of harder rewards shows."""


def write_comparison(world: str, judged: pd.DataFrame, learned: pd.DataFrame, seeds: str, cost: str, out: Path) -> None:
    """report.html and its headline under `out`. `judged`: of `judge_all`, `learned`: of `learn_all` (or empty)."""
    shares = rates(judged)
    tables = [_rates_table(shares, ("gate",)), *([_pools_table(learned)] if len(learned) else [])]
    section = Section("gates", "Which gate lets the right ones in", tables=tuple(tables), charts=(_chart(shares),))
    measured = Section("measured", "How it was measured", (MEASURED, f"World: {world}. {seeds}"))
    top = comparison_top(judged, learned, cost)
    subtitle = "Which candidates each gate admits, whose worth is known."
    _write(f"Gates compared: {world}", subtitle, top, [section, measured], out)


def write_channels(world: str, judged: pd.DataFrame, seeds: str, cost: str, out: Path) -> None:
    """The same for `judge_channels`."""
    shares = channel_rates(judged)
    charts = tuple(_chart(group, str(name)) for name, group in shares.groupby("channel", sort=False))
    section = Section(
        "rewards",
        "Which gates still let the right ones in",
        ("What the learner is told it earned is changed, and every mean kept: a candidate is worth what it was.",),
        tables=(_rates_table(shares, ("channel", "gate")),),
        charts=charts,
    )
    measured = Section("measured", "How it was measured", (MEASURED, f"World: {world}. {seeds}"))
    top = channels_top(judged, cost)
    subtitle = "The same gates where rewards are harder to learn from."
    _write(f"Noisy, late and rare rewards: {world}", subtitle, top, [section, measured], out)


def comparison_top(judged: pd.DataFrame, learned: pd.DataFrame, cost: str) -> Headline:
    """Each gate against the paper's, on the candidates that are worth having."""
    shares, gained = rates(judged), against(judged[judged["gate"] != "none"], PAPER)
    claims = tuple(claim(f"{row['gate']} − paper's", row) for row in gained.to_dict("records"))
    return Headline(
        grids=(),
        claims=claims,
        decided=shortened(_best(shares)),
        open=_undecided(claims),
        basis=shortened(
            f"{judged['parent'].nunique()} parents with the same "
            f"{len(judged.drop_duplicates(['parent', 'true_gain']))} candidates for all gates, scripted "
            f"players{_runs(learned)}. A row is the share admitted of those that gain {WORTH:g} or more, less the "
            "share that the paper's gate admits; intervals hold together at 95 %, over parents."
        ),
        cost=cost,
        measure="difference in share admitted",
    )


def channels_top(judged: pd.DataFrame, cost: str) -> Headline:
    """The race against the likelihood gate, under each kind of rewards."""
    pairs = judged[judged["gate"].isin([LIKELY, RACE])]
    gained = against(pairs, LIKELY, ("channel", "gate"))
    claims = tuple(claim(f"race − ΔJ > 0: {row['channel']}", row) for row in gained.to_dict("records"))
    better, worse = ([each.name.partition(": ")[2] for each in claims if each.verdict == verdict]
                     for verdict in ("better", "worse"))  # fmt: skip
    parts = [f"more under {', '.join(better)}" if better else "", f"less under {', '.join(worse)}" if worse else ""]
    said = "; ".join(filter(None, parts))
    return Headline(
        grids=(),
        claims=claims,
        decided=f"of what is worth having, a race of 96 pairs admits {said}." if said else "nothing.",
        open=_undecided(claims),
        basis=shortened(
            f"{judged['parent'].nunique()} parents, the same candidates under all rewards, scripted players. A row "
            f"is the share that a race admits of those that gain {WORTH:g} or more, less the likelihood gate's (ΔJ > "
            "0); intervals hold together at 95 %, over parents."
        ),
        cost=cost,
        measure="difference in share admitted",
    )


def _best(shares: pd.DataFrame) -> str:
    """The gate that tells candidates apart best; to admit everything is to tell nothing apart."""
    worthy, worthless = f"gain ≥ {WORTH:g}", "gain ≤ 0"
    apart = (shares[worthy] - shares[worthless]).fillna(-1.0)
    if not shares[worthy].notna().any():
        return f"nothing: {NONE_WORTHY}"
    row = shares.to_dict("records")[int(apart.to_numpy(float).argmax())]
    return (
        f"“{row['gate']}” told them apart best here: it admitted {admitted(row, worthy)} of the candidates that gain "
        f"{WORTH:g} or more and {admitted(row, worthless)} of those that gain nothing."
    )


def _undecided(claims: tuple[Claim, ...]) -> str:
    if not claims:
        return NONE_WORTHY
    open = [each.name for each in claims if each.verdict == "undecided"]
    return shortened(f"{'; '.join(open)}: more parents would narrow them.") if open else "none of these."


def _runs(learned: pd.DataFrame) -> str:
    return f", {learned['run'].nunique()} learning runs a gate" if len(learned) else ""


def _rates_table(shares: pd.DataFrame, labels: tuple[str, ...]) -> PageTable:
    names = kinds(shares)
    body = tuple(
        (*(str(row[label]) for label in labels), f"{row['tokens']:,.0f}",
         *(f"{admitted(row, kind)}, n = {row[f'{kind}: n']}" for kind in names))
        for row in shares.to_dict("records")
    )  # fmt: skip
    head = (*("rewards" if label == "channel" else label for label in labels), "tokens per candidate", *names)
    return PageTable("Share admitted", head, body, "95 % intervals over parents; n candidates", True)


def _pools_table(learned: pd.DataFrame) -> PageTable:
    by = Resampler(np.random.default_rng(0))
    body: list[tuple[str, ...]] = []
    for name, group in learned.groupby("gate", sort=False):
        gains = np.stack([(group[column] - group["first"]).to_numpy(float) for column in ("best", "mean")])
        cells = [
            f"{each.estimate:+.3f} [{number(each.low)}, {number(each.high)}]" for each in mean_intervals(gains, by)
        ]
        body.append((str(name), *cells, f"{group['admitted'].mean():.1f}"))
    head = ("gate", "best of the pool, gain over the first skill", "mean of the pool", "admitted")
    return PageTable(
        "What a pool is worth that was learned with it, at equal tokens",
        head,
        tuple(body),
        "true gain [95 % CI over learning runs]; the best by its online score",
        True,
    )


def _chart(shares: pd.DataFrame, channel: str = "") -> Figure:
    frame = pd.DataFrame(
        {
            "panel": kind,
            "label": row["gate"],
            "value": row[kind],
            "low": row[f"{kind}: low"],
            "high": row[f"{kind}: high"],
        }
        for kind in kinds(shares)
        for row in shares.to_dict("records")
    )
    where = f": {channel}" if channel else ""
    place = "".join(each if each.isalnum() else "-" for each in channel.lower())
    return Figure(
        f"admitted-{place}".rstrip("-"),
        f"Share admitted{where}",
        "By what a candidate truly gains; 95 % intervals over parents.",
        lambda: intervals.rows(frame, "share admitted"),
    )


def _write(title: str, subtitle: str, top: Headline, sections: Sequence[Section], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_page(title, subtitle, sections, out, top)
