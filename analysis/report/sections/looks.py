"""How an adaptive study came to its verdicts: every claim's way, look by look."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from analysis.findings import number
from analysis.matrix.comparison.looks import looked
from analysis.report.figures import limits, matrix
from analysis.report.page import TABLE_ROWS, Figure, PageTable, Section, rows_note
from analysis.results import Results

WORDS = (
    "Verdicts on its claims come from tests that keep their error rate however often they are looked at and whatever "
    "the looks decide: e-processes, or sign flips that spend their level over the declared learning runs. A claim is "
    "decided where its e-value, or 1 ÷ p, after Holm over all claims that the study declared, reaches 1 ÷ (1 − level). "
    "The intervals of the claims are confidence sequences, valid at every look; those of cells and arms elsewhere on "
    "this page take the size for fixed, and so do the tests beside them. The means of claims that were decided early "
    "lie farther from zero than the truth, for who is lucky stops sooner: docs/adaptive.md says by how much."
)


def looks_sections(found: Results) -> list[Section]:
    """Empty where the study's size was fixed beforehand."""
    if found.looks.empty:
        return []
    rows, note = limits.first_groups(found.looks, ["claim"], "claims", limits.LINES)
    charts = (
        Figure(
            "sequences",
            "Confidence sequences",
            "Mean difference of each claim and its confidence sequence, at every look." + note,
            partial(matrix.sequences, rows),
        ),
        Figure(
            "evidence",
            "Evidence",
            "Largest e-value (or 1 ÷ p) of each claim so far, before the family, at every look." + note,
            partial(matrix.evidence, rows),
        ),
    )
    return [
        Section(
            "looks", "How it was decided", (looked(found.looks), WORDS), charts=charts, tables=(_table(found.looks),)
        )
    ]


def _table(looks: pd.DataFrame) -> PageTable:
    """Where every claim ended, and by when."""
    rows: list[tuple[str, ...]] = []
    for claim, path in looks.groupby("claim", sort=False):
        last = path.iloc[-1]
        settled = path[path["state"] != "open"]
        when = settled.iloc[0] if len(settled) else None
        rows.append(
            (
                str(claim),
                str(last["state"]),
                "—" if when is None else f"{int(when['look'])}, after {int(when['runs'])} learning runs",
                str(int(last["n"])),
                f"{number(last['mean'])} [{number(last['low'])}, {number(last['high'])}]",
                number(float(np.exp(min(last["log_e"], 700.0))), 1),
                number(last["chance"], 2),
            )
        )
    sequence, evidence = "mean [confidence sequence]", "largest e-value or 1 ÷ p"
    header = ("claim", "ended", "at look", "differences", sequence, evidence, "chance")
    note = "As the looks found it; chance: predicted, that the claim is settled within the budget"
    return PageTable("Claims", header, tuple(rows[:TABLE_ROWS]), note + rows_note(len(rows)), True)
