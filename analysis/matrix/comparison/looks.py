"""Findings of a study that looked at its data as they came: verdicts by tests that allow it, and none elsewhere.

What a study of a fixed size would have said stands in its tables; of a study whose size depended on its data, only the
tests that may be looked at after every datum keep what they promise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.findings import Finding, interval_text, number, p_text, withhold
from analysis.matrix.comparison.claims import Adaptive, Standing
from analysis.matrix.data_quality.missing import Gap, tell_missing

NO_CLAIM = "how much was played depended on the data, and only the study's claims in return were tested for that"


def judge_sequentially(findings: Iterable[Finding], standings: Sequence[Standing], adaptive: Adaptive) -> list[Finding]:
    """Every claim's finding with the verdict of its sequential test; every other one without a verdict."""
    known = {_place_of(standing): standing for standing in standings}
    answers: list[Finding] = []
    for each in findings:
        standing = known.get(_place(each))
        if standing is not None:
            answers.append(_judged(each, standing, adaptive))
        elif each.verdict != "undecided":
            answers.append(withhold(each, NO_CLAIM))
        else:
            answers.append(each)
    return answers


def looked(looks: pd.DataFrame) -> str:
    """That and when the study looked, and why it ended, in a sentence; "" where it never did."""
    if looks.empty:
        return ""
    runs = looks.drop_duplicates("look").sort_values("look")
    count, last = len(runs), runs.iloc[-1]
    times = "once" if count == 1 else f"{count} times"
    spent = f"{int(last['runs'])} learning runs and {int(last['tokens']):,} tokens"
    return (
        f"This study looked at its data {times} and decided at each look what to play next. Its last look, after "
        f"{spent}, says: {last['why']}."
    )


def _place_of(standing: Standing) -> tuple[str, ...]:
    claim = standing.claim
    if not claim.pool:
        return ("contrast", claim.key)
    return ("given", claim.contrast.key, claim.pool, claim.agent, claim.task)


def _place(found: Finding) -> tuple[str, ...]:
    if found.outcome != "return" or found.kind not in ("contrast", "given"):
        return ()
    _, _, subject, *rest = found.id.split(":")
    if found.kind == "contrast":
        return found.kind, subject
    # a pool's control stands between its name and the cell
    against = next((part for part in rest[:1] if "/" not in part), "given-none")
    return found.kind, against, subject, found.cell.get("agent", ""), found.cell.get("task", "")


def _judged(found: Finding, standing: Standing, adaptive: Adaptive) -> Finding:
    known, claim, rule = standing.evidence, standing.claim, adaptive.rule
    family = f"{len(adaptive.claims)} claims of an adaptive study"
    planned = rule.planned(standing.data)
    judged = replace(
        found,
        estimate=known.mean,
        low=known.lower if np.isfinite(known.lower) else math.nan,
        high=known.upper if np.isfinite(known.upper) else math.nan,
        level=rule.level,
        method=f"{rule.level:.0%} confidence sequence, valid at every look ({rule.named(standing.data)})",
        p=1 / known.e_peak,
        p_method=f"{'least p' if planned else '1 ÷ the largest e-value'} so far ({rule.named(standing.data)})",
        p_adjusted=1 / standing.e_adjusted,
        family=family,
        adjustment="Holm" if planned else "e-Holm",
        n_clusters=known.n,
        margin=rule.margin,
        p_equivalence=math.nan,
        p_equivalence_adjusted=1 / standing.e_equivalence,
        verdict=standing.verdict,
        freedom=math.nan,
        error=math.nan,
        skewness=0.0,
        mde=math.nan,
        withheld=standing.withheld,
        assumes="",
    )
    judged = replace(judged, sentence=_sentence(judged, standing, planned=planned))
    if not claim.pool:
        return judged  # what it lacks is told with all contrasts
    lacks = Gap(found.planned, found.missing, found.bound_low, found.bound_high)
    told = tell_missing(judged, lacks, finished=not found.provisional)
    _, about, claim_about = found.sentence.partition(" This is a claim about")
    return replace(told, sentence=told.sentence + about + claim_about)


def _sentence(found: Finding, standing: Standing, *, planned: bool) -> str:
    known, cluster = standing.evidence, standing.claim.cluster
    if not known.n:
        return f"Undecided: {found.subject} has no data yet."
    ends = interval_text(found.low, found.high, found.level).replace("CI", "confidence sequence")
    same = found.verdict == "equivalent"
    adjusted = standing.e_equivalence if same else standing.e_adjusted
    largest = p_text(1 / adjusted) if planned else f"largest e-value {number(adjusted, 1)}"
    against = "a difference beyond the margin" if same else "no difference"
    e = f"{largest} against {against}, after {found.adjustment} over the {found.family}"
    size = f"{found.subject}: {number(found.estimate)} in {found.outcome}"
    base = f"{found.n_episodes} episodes, {known.n} {cluster}{'s' * (known.n != 1)}, looked at as they came"
    evidence = f"{size} ({ends}; {e}; {base})"
    if found.verdict == "equivalent":
        return f"Equivalent within the declared ±{found.margin:g}: {evidence}."
    if found.verdict == "undecided":
        return f"Undecided: {evidence}{f'; no verdict: {found.withheld}' if found.withheld else ''}."
    return f"{found.verdict.capitalize()}: {evidence}."
