"""The page of continuous actions: does the gate work where an action is a number?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.findings import number
from analysis.report.figures import intervals
from analysis.report.headline import MOST_CLAIMS, Headline, shortened
from analysis.report.page import Figure, PageTable, Section
from analysis.report.write import write_page
from testbed.bench.experiments.gates.continuous import CLIP, JITTER, agreement, obedience, spread
from testbed.bench.experiments.pages.claims import claim, decided_and_open

MEASURED = (
    "Scripted players of Setpoint write a number (or two) from a bell around a centre that they read in their "
    "skill, so that every candidate's true gain is known. Random parents play; three random candidates of each are "
    f"judged by the gate (step-baseline, γ = 0, ΔJ > 0, clip {CLIP:g}). Digits with likings: log-odds of every "
    f"decimal digit drawn anew for each skill, standard deviation {JITTER:g}. ρ is Spearman's, between ΔJ and the "
    "true gain."
)
BY_MODEL = (
    "The model plays under a vague skill. Each number that it wrote is scored again under the same skill in other "
    "words, which ought to change little, and under the right one; ρ is the ratio to its likelihood under the skill "
    "that it played, over all tokens of the number, by the acting policy (grammar and temperature). Effective: "
    "(Σρ)² / (n Σρ²), the share of steps that the weighted ones are worth."
)


def write_continuous(judged: pd.DataFrame, by_model: pd.DataFrame, model: str, cost: str, out: Path) -> None:
    """report.html and its headline under `out`. `judged`: of `by_precision`; `by_model`: of `ratios`, or empty."""
    found = agreement(judged)
    frame = found.assign(panel=[f"changes of ± {step:g}" for step in found["step"]], label=found["player"])
    chart = Figure(
        "agreement",
        "Rank correlation of ΔJ with the true gain",
        "By how numbers are written; 95 % intervals over parents, all together.",
        lambda: intervals.rows(frame.rename(columns={"rho": "value"}), "ρ(ΔJ, gain)"),
    )
    section = Section("numbers", "Does the gate tell better numbers?", tables=(_verdicts(found),), charts=(chart,))
    sections = [section]
    if len(by_model):
        tables = (_ratios(by_model), _obedience(by_model))
        sections.append(Section("model", f"Numbers as a model writes them: {model}", (BY_MODEL,), tables=tables))
    sections.append(Section("measured", "How it was measured", (MEASURED,)))
    out.mkdir(parents=True, exist_ok=True)
    subtitle = "Gate and skills where an action is a number and not a word."
    write_page("Continuous actions", subtitle, sections, out, top_of(judged, by_model, model, cost))


def top_of(judged: pd.DataFrame, by_model: pd.DataFrame, model: str, cost: str) -> Headline:
    found = agreement(judged)
    middle = found[found["step"] == sorted(found["step"].unique())[found["step"].nunique() // 2]]
    claims = tuple(claim(row["player"], row, "rho") for row in middle.to_dict("records"))[:MOST_CLAIMS]
    decided, open = decided_and_open(claims)
    passed = judged[judged["outcome"] == "accepted"]
    right = f" Of what ΔJ > 0 lets in, {(passed['true_gain'] > 0).mean():.0%} gains." if len(passed) else ""
    more = right + _told(by_model)
    return Headline(
        grids=(),
        claims=claims,
        decided=shortened(f"ΔJ ranks candidates by their true gain with {', '.join(decided) or 'none'}.{more}"),
        open=shortened(", ".join(open)) or "none of these.",
        basis=shortened(
            f"{judged['parent'].nunique()} parents with 3 candidates each a row, scripted players"
            + (f"; {model} in {by_model['episode'].nunique()} games a precision" if len(by_model) else "")
            + ". A row is Spearman's ρ between ΔJ and the true gain; intervals hold together at 95 %, over parents."
        ),
        cost=cost,
        measure="rank correlation with the true gain",
    )  # fmt: skip


def _told(by_model: pd.DataFrame) -> str:
    """What a model's ratios do as decimals grow, under a skill that says the same."""
    if by_model.empty:
        return ""
    rows = spread(by_model)
    rows = rows[rows["candidate"] == "rephrased"]
    sizes = ", ".join(f"{row['clipped']:.0%} at {row['decimals']}" for row in rows.to_dict("records"))
    return f" Merely rephrased, a skill takes the ratios of a model's numbers beyond the clip in {sizes} decimals."


def _verdicts(found: pd.DataFrame) -> PageTable:
    body = tuple(
        (row["player"], f"± {row['step']:g}", f"{row['rho']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
         f"{row['passed']:.0%}", "—" if np.isnan(row["right"]) else f"{row['right']:.0%}", f"{row['improving']:.0%}",
         f"{row['clipped']:.0%}", str(row["n"]))
        for row in found.to_dict("records")
    )  # fmt: skip
    head = ("numbers", "change", "ρ(ΔJ, gain) (95 % together)", "pass", "right", "by chance", "clipped", "candidates")
    return PageTable(
        "Verdicts by how numbers are written", head, body, "right: of those that pass; by chance: of all", True
    )


def _ratios(by_model: pd.DataFrame) -> PageTable:
    body = tuple(
        (str(row["decimals"]), row["candidate"],
         f"{row['size']:.2f} [{number(row['low'], 2)}, {number(row['high'], 2)}]",
         f"{row['clipped']:.0%}", f"{row['effective']:.2f}", f"{row['tokens']:.1f}", str(row["steps"]),
         str(row["episodes"]))
        for row in spread(by_model).to_dict("records")
    )  # fmt: skip
    head = ("decimals", "skill", "mean |log ρ|, nats [95 %]", "clipped", "effective", "tokens", "steps", "games")
    return PageTable("Ratios of the numbers that were written", head, body, "intervals over games", True)


def _obedience(by_model: pd.DataFrame) -> PageTable:
    body = tuple(
        (str(row["decimals"]), f"{row['vague']:.2f}", f"{row['right']:.2f}",
         f"{row['gain']:+.2f} [{number(row['low'], 2)}, {number(row['high'], 2)}]", str(row["episodes"]))
        for row in obedience(by_model).to_dict("records")
    )  # fmt: skip
    head = ("decimals", "return, vague skill", "right skill", "difference [95 %]", "games")
    return PageTable("What a right number in the skill is worth", head, body, "common environment seeds", True)
