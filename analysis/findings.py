"""A finding: one number with all a reader needs to judge it, and a sentence that claims no more than it shows."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import numpy as np

from analysis.statistics.estimates import Interval
from analysis.statistics.significance import LEAST_FREEDOM, Test

Verdict = Literal["better", "worse", "equivalent", "undecided"]
ALPHA = 0.05


@dataclass(frozen=True)
class Finding:
    """One estimate, compared. Unknown numbers are NaN (null in JSON), with the reason in `method` or `sentence`."""

    id: str
    kind: str
    """contrast (over the whole matrix), gain, regret, retention, asymmetry, …: what the estimate is."""
    outcome: str
    """return, solved, coverage, …"""
    subject: str
    """What is compared with what, in words."""
    cell: dict[str, str]
    """The cell it belongs to (arm, source_agent, source_task, agent, task); empty for the whole matrix."""
    estimate: float
    low: float
    high: float
    level: float
    method: str
    p: float = math.nan
    p_method: str = ""
    p_adjusted: float = math.nan
    family: str = ""
    adjustment: str = ""
    effect_size: float = math.nan
    effect_name: str = ""
    n_episodes: int = 0
    n_clusters: int = 0
    margin: float = math.nan
    p_equivalence: float = math.nan
    question: str = ""
    sign: int = 1
    """1 where more is better, −1 where less is (regret)."""
    verdict: Verdict = "undecided"
    sentence: str = ""
    freedom: float = math.nan
    """Degrees of freedom behind interval and p."""
    offered: float = math.nan
    """Degrees of freedom that the design offers, whatever the data: they settle whether there can be a verdict."""
    error: float = math.nan
    """Standard error behind them."""
    skewness: float = 0.0
    """Skewness of the differences of single seeds, which moves one end of the interval outwards."""
    p_equivalence_adjusted: float = math.nan
    effect_low: float = math.nan
    effect_high: float = math.nan
    planned: dict[str, int] = field(default_factory=dict[str, int])
    """Episodes that the study plans, by arm of the comparison."""
    missing: dict[str, int] = field(default_factory=dict[str, int])
    """How many of them are not there, by arm."""
    bound_low: float = math.nan
    """Least estimate that the missing episodes could still give, by the reward range; NaN where none is missing."""
    bound_high: float = math.nan
    mde: float = math.nan
    """Difference that would have been found with 80 % power."""
    loo_low: float = math.nan
    """Least estimate without any one learning run."""
    loo_high: float = math.nan
    provisional: bool = False
    """Whether the run is unfinished."""
    cluster: str = "learning run"
    """What the claim generalises over: further pools as they would be learned, or for a given pool further
    environment seeds."""
    withheld: str = ""
    """Why no verdict is given although the test would give one; "" where it is given."""
    assumes: str = ""
    """What a "better" or "worse" takes for granted that so few learning runs cannot show; "" where it stands alone."""

    def row(self) -> dict[str, object]:
        """Plain JSON: NaN becomes null."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def finding(
    kind: str,
    outcome: str,
    subject: str,
    interval: Interval,
    test: Test,
    *,
    key: str,
    question: str = "",
    cell: dict[str, str] | None = None,
    episodes: int = 0,
    effect: tuple[float, str] = (math.nan, ""),
    equivalence: tuple[float, float] = (math.nan, math.nan),
    sign: int = 1,
    withheld: str = "",
    assumes: str = "",
) -> Finding:
    """A finding without its family; `judge` completes it. `key` tells it from others of its kind.

    `effect` is (what the difference is divided by, the name of the quotient), `equivalence` (declared margin, p of the
    two one-sided tests).
    """
    spread = effect[0] if effect[0] > 0 else math.nan
    return Finding(
        id=":".join([kind, outcome, key, *filter(None, ["/".join((cell or {}).values())])]),
        kind=kind,
        outcome=outcome,
        subject=subject,
        cell=cell or {},
        estimate=interval.estimate,
        low=interval.low,
        high=interval.high,
        level=interval.level,
        method=interval.method,
        p=test.p,
        p_method=test.method,
        effect_size=interval.estimate / spread,
        effect_name=effect[1] if spread > 0 else "",
        effect_low=interval.low / spread,
        effect_high=interval.high / spread,
        n_episodes=episodes,
        n_clusters=interval.clusters,
        margin=equivalence[0],
        p_equivalence=equivalence[1],
        sign=sign,
        question=question,
        freedom=interval.freedom,
        offered=interval.offered,
        error=interval.error,
        skewness=interval.skewness,
        withheld=withheld,
        assumes=assumes,
    )


def judge(
    found: Finding, p_adjusted: float, family: str, adjustment: str, p_equivalence_adjusted: float = math.nan
) -> Finding:
    """Add the family, the verdict and the sentence.

    Interval and p come from one pivot and the error rate is that of the interval, so that "better" and "worse" imply an
    interval off zero. Where the design offers less than LEAST_FREEDOM the pivot rests on normality alone: the verdict
    stays undecided.
    """
    alpha = 1 - found.level
    verdict: Verdict = "undecided"
    if _enough(found) and p_equivalence_adjusted <= alpha:
        verdict = "equivalent"
    elif _enough(found) and p_adjusted <= alpha and not found.withheld:
        verdict = "better" if found.estimate * found.sign > 0 else "worse"
    judged = replace(
        found,
        p_adjusted=p_adjusted,
        p_equivalence_adjusted=p_equivalence_adjusted,
        family=family,
        adjustment=adjustment,
        verdict=verdict,
        withheld=found.withheld if verdict == "undecided" and p_adjusted <= alpha else "",
        assumes=found.assumes if verdict in ("better", "worse") else "",
    )
    return replace(judged, sentence=_sentence(judged))


def withhold(found: Finding, reason: str) -> Finding:
    """The finding without its verdict, and why: what the test says cannot be relied on."""
    evidence = found.sentence.partition(": ")[2].removesuffix(".").removesuffix(f"; {found.assumes}")
    sentence = f"Undecided: {evidence}; the test says “{found.verdict}”, but {reason}."
    return replace(found, verdict="undecided", sentence=sentence, withheld=reason, assumes="")


def add_detectable(found: Finding) -> Finding:
    """Beside every “undecided” that nothing else stands in the way of: what would have been found."""
    if found.verdict != "undecided" or found.withheld or not np.isfinite(found.mde):
        return found
    more = f" A difference of {number(found.mde)} would have been found with 80 % power."
    return replace(found, sentence=found.sentence + more)


def number(value: float, digits: int = 3) -> str:
    """A number as the report prints it; an em dash for none."""
    return "—" if not np.isfinite(value) else f"{value:.{digits}f}".replace("-", "−")


def p_text(p: float) -> str:
    """A p value as the report prints it."""
    if not np.isfinite(p):
        return "p not available"
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")


def interval_text(low: float, high: float, level: float) -> str:
    """An interval in words, or the statement that there is none."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "no interval"
    return f"{level:.0%} CI {number(low)} to {number(high)}".replace("%", " %")


def _sentence(found: Finding) -> str:
    if not np.isfinite(found.estimate):
        return f"Undecided: {found.subject} has no data ({found.method})."
    base = f"{found.n_episodes} episodes, {_clusters(found)}"
    size = f"{found.subject}: {number(found.estimate)} in {found.outcome}"
    if found.n_clusters < 2:
        return f"Undecided: {_clusters(found)}. {size}; {base}."
    tested = f"{p_text(found.p)}, {_adjusted(found)}" if np.isfinite(found.p) else found.p_method
    evidence = f"{size} ({interval_text(found.low, found.high, found.level)}; {tested}; {base})"
    if found.verdict == "equivalent":
        return f"Equivalent within the declared ±{found.margin:g}: {evidence}."
    if found.verdict == "undecided":
        return f"Undecided: {evidence}{_doubt(found)}."
    if found.assumes:
        return f"{found.verdict.capitalize()} on an assumption: {evidence}; {found.assumes}."
    return f"{found.verdict.capitalize()}: {evidence}."


def _doubt(found: Finding) -> str:
    """Why there is no verdict; never "compatible with no difference" beside an interval that leaves out zero."""
    if not np.isfinite(found.p):
        return ""
    if not _enough(found):
        if found.n_clusters > LEAST_FREEDOM:
            return (
                f"; a verdict needs {LEAST_FREEDOM:.0f} degrees of freedom, and these cells offer {found.offered:.1f}"
            )
        return f"; a verdict needs {LEAST_FREEDOM + 1:.0f} {found.cluster}s ({LEAST_FREEDOM:.0f} degrees of freedom)"
    if found.low <= 0 <= found.high or found.p > 1 - found.level:
        return "; the data are compatible with no difference"
    if found.p_adjusted > 1 - found.level:
        seen = "the interval leaves out 0" if np.isfinite(found.low) else f"all {found.cluster}s agree"
        return f"; {seen}, but among so many comparisons such a difference may be chance"
    return f"; no verdict: {found.withheld}"


def _enough(found: Finding) -> bool:
    return found.offered >= LEAST_FREEDOM - 1e-6


def _adjusted(found: Finding) -> str:
    return f"{p_text(found.p_adjusted).replace('p', 'adjusted p', 1)} ({found.adjustment}, {found.family})"


def _clusters(found: Finding) -> str:
    return f"{found.n_clusters} {found.cluster}" + "s" * (found.n_clusters != 1)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
