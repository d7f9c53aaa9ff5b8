"""The arm "given": pools that came from elsewhere, each against the arm without memory on common environment seeds.

Such a pool is one fixed thing, not a draw from a learner: the claim is about this very pool, and what varies is the
environment. So every environment seed is a cluster of its own, where a claim about learning has its learning runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.findings import Finding, add_detectable, judge
from analysis.matrix.contrasts import Contrast, unjudged
from analysis.matrix.data_quality.missing import Attendance, Gap, cell_gaps, gap, tell_missing
from analysis.matrix.robustness.sensitivity import detectable
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.multiplicity import holm
from analysis.tables.run import Tables
from analysis.tables.units import seed_means

CONTRAST = Contrast("given", "none", "Does this pool help?")
CLUSTER = "environment seed"
CLAIM = " This is a claim about this very pool, on further environment seeds."


class _Compared(NamedTuple):
    found: Finding
    lacks: Gap
    finished: bool


def given_findings(pools: Mapping[str, Tables], by: Resampler, *, margin: float | None = None) -> list[Finding]:
    """Given pool − no memory, in return: of every pool in each of its cells, then of every pool over all of them.

    `pools`: the tables of each given pool, by name. All cells are one family (Holm), the pools another; of pools with
    one cell each the cells say everything.
    """
    compared = {
        name: _compare(name, tables, by, math.nan if margin is None else margin) for name, tables in pools.items()
    }
    cells = [each for of_pool in compared.values() for each in of_pool[1:]]
    overall = [of_pool[0] for of_pool in compared.values() if len(of_pool) > 2]
    return [*_judged(cells, f"{len(cells)} cells of given pools"), *_judged(overall, f"{len(overall)} given pools")]


def by_environment_seed(seeds: pd.DataFrame) -> pd.DataFrame:
    """`seed_means` with the environment seed in the place of the learning run: agents on one seed stay one cluster."""
    number = seeds.groupby(seeds["task"].astype("str"))["env_seed"].rank(method="dense").astype("int64")
    return seeds.assign(learning_run=number, block=number)


def _compare(name: str, tables: Tables, by: Resampler, margin: float) -> list[_Compared]:
    """A pool over all its cells, then in each."""
    attendance = Attendance.of(tables)
    gaps = cell_gaps(attendance, CONTRAST, "return")
    seeds = by_environment_seed(seed_means(tables.episodes))
    whole, *cells = unjudged(CONTRAST, seeds, by, margin=margin, ranges=tables.ranges)
    return [
        _Compared(_named(whole, name), gap(attendance, CONTRAST, "return"), attendance.finished),
        *(_Compared(_named(found, name), gaps[tuple(found.cell.values())], attendance.finished) for found in cells),
    ]


def _named(found: Finding, pool: str) -> Finding:
    """As a finding about this pool; the statistics count environment seeds where they say learning runs."""
    place = f" ({found.cell['agent']} in {found.cell['task']})" if found.cell else ""
    return replace(
        found,
        id=":".join(["given", found.outcome, pool, *filter(None, ["/".join(found.cell.values())])]),
        kind="given",
        question=CONTRAST.question,
        subject=f"{pool} − no memory{place}",
        method=found.method.replace("learning run", CLUSTER),
        p_method=found.p_method.replace("learning run", CLUSTER),
        cluster=CLUSTER,
    )


def _judged(compared: Sequence[_Compared], family: str) -> Iterator[Finding]:
    p, q = (holm(np.array([getattr(each.found, name) for each in compared])) for name in ("p", "p_equivalence"))
    for number, (found, lacks, finished) in enumerate(compared):
        judged = judge(found, p[number], family, "Holm", q[number])
        judged = add_detectable(replace(judged, mde=detectable(judged, len(compared))))
        told = tell_missing(judged, lacks, finished=finished)
        yield replace(told, sentence=told.sentence + CLAIM)
