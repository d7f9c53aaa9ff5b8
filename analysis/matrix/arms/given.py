"""The arm "given": pools that came from elsewhere, each against the arm without memory on common environment seeds.

Such a pool is one fixed thing, not a draw from a learner: the claim is about this very pool, and what varies is the
environment. So every environment seed is a cluster of its own, where a claim about learning has its learning runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.findings import Finding, add_detectable, judge
from analysis.matrix.contrasts import ARMS, Contrast, unjudged
from analysis.matrix.data_quality.missing import Attendance, Gap, cell_gaps, gap, tell_missing
from analysis.matrix.robustness.sensitivity import detectable
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.multiplicity import holm
from analysis.tables.run import Tables
from analysis.tables.units import seed_means

CONTRASTS = (
    Contrast("given", "none", "Does this pool help?"),
    Contrast("given", "random", "Does choosing in this pool beat drawing at random?"),
    Contrast("given", "shuffled", "Does this pool's content matter, or only that there is one?"),
)
OUTCOMES = ("return", "solved")
CLUSTER = "environment seed"
CLAIM = " This is a claim about this very pool, on further environment seeds."
CLAIM_OF_ADMITTED = " This is a claim about what was let in of this very pool, on further environment seeds."


class _Compared(NamedTuple):
    found: Finding
    lacks: Gap
    finished: bool
    admission: str
    """How many of the pool's skills their receivers let in, in a sentence; "" where they came in on trust."""


def given_findings(pools: Mapping[str, Tables], by: Resampler, *, margin: float | None = None) -> list[Finding]:
    """Given pool − no memory, and − each of its controls: of every pool in each of its cells, then over all of them.

    `pools`: the tables of each given pool, by name; `margin` is that of the return. For each reference and outcome all
    cells are one family (Holm), the pools another; of pools with one cell each the cells say everything. Where solved
    is the return in every episode, it is not said twice.
    """
    outcomes = OUTCOMES if any(_differ(tables) for tables in pools.values()) else OUTCOMES[:1]
    found: list[Finding] = []
    for outcome, contrast in product(outcomes, CONTRASTS):
        bound = margin if outcome == "return" and margin is not None else math.nan
        compared = [
            _compare(name, tables, contrast, outcome, by, bound)
            for name, tables in pools.items()
            if set(contrast.arms) <= set(tables.episodes["arm"].astype("str"))
        ]
        cells = [each for of_pool in compared for each in of_pool[1:]]
        overall = [of_pool[0] for of_pool in compared if len(of_pool) > 2]
        beside = "" if contrast.reference == "none" else f" against {ARMS[contrast.reference]}"
        about = f"given pools{beside}{'' if outcome == 'return' else f' in {outcome}'}"
        found += _judged(cells, f"{len(cells)} cells of {about}")
        found += _judged(overall, f"{len(overall)} {about}")
    return found


def _differ(tables: Tables) -> bool:
    answered = tables.episodes[tables.episodes["error"].isna()]
    return not answered["solved"].astype(float).equals(answered["return"].astype(float))


def by_environment_seed(seeds: pd.DataFrame) -> pd.DataFrame:
    """`seed_means` with the environment seed in the place of the learning run: agents on one seed stay one cluster."""
    number = seeds.groupby(seeds["task"].astype("str"))["env_seed"].rank(method="dense").astype("int64")
    return seeds.assign(learning_run=number, block=number)


def _compare(
    name: str, tables: Tables, contrast: Contrast, outcome: str, by: Resampler, margin: float
) -> list[_Compared]:
    """A pool over all its cells, then in each."""
    attendance = Attendance.of(tables)
    gaps = cell_gaps(attendance, contrast, outcome)
    seeds = by_environment_seed(seed_means(tables.episodes))
    whole, *cells = unjudged(contrast, seeds, by, outcome=outcome, margin=margin, ranges=tables.ranges)
    finished = attendance.finished
    return [
        _Compared(_named(whole, name, contrast), gap(attendance, contrast, outcome), finished, _admission(tables)),
        *(
            _Compared(
                _named(found, name, contrast),
                gaps[tuple(found.cell.values())],
                finished,
                _admission(tables, found.cell["agent"], found.cell["task"]),
            )
            for found in cells
        ),
    ]


def _admission(tables: Tables, agent: str | None = None, task: str | None = None) -> str:
    verdicts = tables.events[tables.events["kind"] == "verdict"]
    if agent is not None:
        verdicts = verdicts[(verdicts["agent"] == agent) & (verdicts["task"] == task)]
    if verdicts.empty:
        return ""
    counts = verdicts["verdict"].value_counts()
    others = [f"{counts[outcome]} {outcome}" for outcome in ("rejected", "undecided") if outcome in counts]
    turned_away = f" ({', '.join(others)})" if others else ""
    who = "All receivers together" if agent is None else agent
    return f" {who} let in {counts.get('accepted', 0)} of {len(verdicts)} skills{turned_away}."


def _named(found: Finding, pool: str, contrast: Contrast) -> Finding:
    """As a finding about this pool; the statistics count environment seeds where they say learning runs."""
    place = f" ({found.cell['agent']} in {found.cell['task']})" if found.cell else ""
    against = [] if contrast.reference == "none" else [contrast.key]
    return replace(
        found,
        id=":".join(["given", found.outcome, pool, *against, *filter(None, ["/".join(found.cell.values())])]),
        kind="given",
        question=contrast.question,
        subject=f"{pool} − {ARMS[contrast.reference]}{place}",
        method=found.method.replace("learning run", CLUSTER),
        p_method=found.p_method.replace("learning run", CLUSTER),
        cluster=CLUSTER,
    )


def _judged(compared: Sequence[_Compared], family: str) -> Iterator[Finding]:
    p, q = (holm(np.array([getattr(each.found, name) for each in compared])) for name in ("p", "p_equivalence"))
    for number, (found, lacks, finished, admission) in enumerate(compared):
        judged = judge(found, p[number], family, "Holm", q[number])
        judged = add_detectable(replace(judged, mde=detectable(judged, len(compared))))
        told = tell_missing(judged, lacks, finished=finished)
        claim = CLAIM_OF_ADMITTED if admission else CLAIM
        yield replace(told, sentence=told.sentence + admission + claim)
