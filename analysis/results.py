"""Everything a report says, computed from the tables alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from analysis.findings import Finding
from analysis.matrix.arms.epochs import epoch_table
from analysis.matrix.arms.given import given_findings
from analysis.matrix.arms.scores import arm_table, improvements, normalised_scores, profiles, ranks
from analysis.matrix.arms.types import type_table
from analysis.matrix.arms.variance import variance_table
from analysis.matrix.cells import cell_table, reuse_table
from analysis.matrix.comparison.claims import Adaptive
from analysis.matrix.comparison.influence import influence_table
from analysis.matrix.comparison.looks import judge_sequentially, looked
from analysis.matrix.comparison.memories import POOL, MemoryComparison, compare_memories
from analysis.matrix.comparison.paper import Paper, beside_paper
from analysis.matrix.contrasts import cellwise, declare, overall
from analysis.matrix.data_quality.caveats import caveats, learning_owed, widened
from analysis.matrix.data_quality.missing import Attendance, add_missing, missing_warnings, unfinished
from analysis.matrix.learning.curves import learning_curves, lineage
from analysis.matrix.learning.gate import GateCalibration, gate_calibration
from analysis.matrix.learning.retries import Retries, compare_retries
from analysis.matrix.reuse.chance import chance_findings
from analysis.matrix.reuse.coverage import invocation_shares
from analysis.matrix.robustness.second_opinions import check_table
from analysis.matrix.robustness.sensitivity import add_sensitivity, reward_span, sensitivity
from analysis.matrix.transfer import asymmetry, relation_gains, token_efficiency, transfer_table
from analysis.population.results import PopulationFindings, analyse_population, contrasts
from analysis.statistics.bootstrap import Resampler
from analysis.tables.population import PopulationTables
from analysis.tables.run import Tables
from analysis.tables.units import seed_means

FORMAT = 1
"""Version of findings.json."""


@dataclass(frozen=True)
class Results:
    """What `analyse` found. In the frames each measure m has columns m, m_low, m_high and m_method."""

    cells: pd.DataFrame
    reuse: pd.DataFrame
    invocations: pd.DataFrame
    arms: pd.DataFrame
    relations: pd.DataFrame
    transfer: pd.DataFrame
    profiles: pd.DataFrame
    improvements: pd.DataFrame
    ranks: pd.DataFrame
    checks: pd.DataFrame
    tokens: pd.DataFrame
    curves: pd.DataFrame
    lineage: pd.DataFrame
    gate: GateCalibration
    rank_test: str
    attendance: pd.DataFrame
    """Episodes planned, answered, failed and owed, by arm."""
    normalised: pd.DataFrame
    epochs: pd.DataFrame
    variance: pd.DataFrame
    sensitivity: pd.DataFrame
    looks: pd.DataFrame
    """What an adaptive study found at each look; empty of one of a fixed size."""
    cluster_values: pd.DataFrame
    findings: tuple[Finding, ...]
    unfinished: str
    """What a run that is not finished owes, in a sentence; "" for a finished one."""
    missing: tuple[str, ...]
    """What is missing, and where it may mislead: to be read before any verdict."""
    warnings: tuple[str, ...]
    margin: float
    level: float
    resamples: int
    population: PopulationFindings | None
    """None but for a population study."""
    memories: MemoryComparison | None = None
    """None where the study compares its pool with no other memory, learned or given."""
    paper: pd.DataFrame | None = None
    """What a paper prints, beside ours; None where the study names no paper, or the paper prints none of it."""
    retries: Retries | None = None
    """None where no memory played games again while it was learned."""
    influence: pd.DataFrame | None = None
    """How much what memories showed changed the likelihood of what was done; None where that was not measured."""
    types: pd.DataFrame | None = None
    """Cells by the type of the task; None where no task has several."""

    @property
    def summary(self) -> tuple[str, ...]:
        """What is and is not shown: a count, then question and answer of every declared contrast in return."""
        declared = [each for each in self.findings if each.kind in ("contrast", "given") and each.outcome == "return"]
        if not declared:
            return ("No two arms share environment seeds, so nothing is compared.",)
        open_ones = sum(each.verdict == "undecided" for each in declared)
        assumed = sum(bool(each.assumes) for each in declared)
        some = f" ({assumed} on an assumption that stands beside it)" if assumed else ""
        decided = f"{len(declared) - open_ones} of {len(declared)} declared contrasts are decided{some}"
        count = f"{decided}, {open_ones} undecided."
        first = f"Provisional, for the run is unfinished: {count}" if self.unfinished else count
        looks = (looked(self.looks),) if len(self.looks) else ()
        return (first, *looks, *(f"{each.question} {each.sentence}" for each in (*declared, *self._of_memories)))

    @property
    def _of_memories(self) -> tuple[Finding, ...]:
        parts = (self.memories, self.retries)
        return tuple(found for part in parts if part is not None for found in part.findings)

    def frames(self) -> dict[str, pd.DataFrame]:
        """Every table by its file name."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        frames = {name: value for name, value in values.items() if isinstance(value, pd.DataFrame)}
        memories = {"memories": self.memories.table} if self.memories else {}
        memories |= {"retries": self.retries.table} if self.retries else {}
        return frames | memories | {"gate": self.gate.points} | (self.population.frames() if self.population else {})

    def rows(self) -> list[dict[str, object]]:
        """Findings as plain JSON objects."""
        return [each.row() for each in (*self.findings, *self._of_memories)]


def analyse(
    tables: Tables,
    by: Resampler,
    *,
    margin: float | None = None,
    population: PopulationTables | None = None,
    memories: Mapping[str, Tables] = {},
    given: Mapping[str, Tables] = {},
    paper: Paper | None = None,
    adaptive: Adaptive | None = None,
) -> Results:
    """Compute every number of a report. `margin`: equivalence margin in return, declared before the data were seen.

    `population` is that of a population study, which declares contrasts of its own; `memories` are the study's other
    ones by name, compared with the pool in a family of their own; `given` are the pools that came from elsewhere;
    `paper` is what a study asks to be put beside its own values; `adaptive` are the claims of one that looked at its
    data as they came, and how it judged them.
    """
    seeds = seed_means(tables.episodes)
    attendance = Attendance.of(tables)
    family = declare(attendance.arms) if population is None else contrasts(population.policies)
    declared = tuple(contrast for contrast in family if set(contrast.arms) <= set(attendance.arms))
    bound = math.nan if margin is None else margin
    cells, reuse = cell_table(tables, seeds, by), reuse_table(tables, by)
    arms = arm_table(tables, seeds, by)
    rank_test, rank_pairs = ranks(cells, by)
    found = [
        *overall(seeds, declared, by, outcomes=("return", "solved"), margin=bound, ranges=tables.ranges),
        *cellwise(seeds, by, margin=bound, ranges=tables.ranges),
        *asymmetry(seeds, by, tables.ranges),
        *chance_findings(tables, by),
    ]
    from_elsewhere = given_findings(given, by, margin=margin) if given else []
    if adaptive:
        episodes = {"": tables.episodes} | {name: each.episodes for name, each in given.items()}
        standings = adaptive.standings(episodes, tables.ranges)
        found = judge_sequentially(found, standings, adaptive)
        from_elsewhere = judge_sequentially([each for each in from_elsewhere if each.cell], standings, adaptive)
    beside = compare_memories(tables, memories, by, margin=bound, given=given) if memories or given else None
    if adaptive and beside:  # it has no other memories, and its claims say of the pool what is to be said
        beside = replace(beside, findings=())
    opinions = sensitivity(seeds, declared, found, reward_span(tables), margin=bound, ranges=tables.ranges)
    found = add_sensitivity(add_missing(found, attendance, declared), opinions.table)
    return Results(
        cells=cells,
        reuse=reuse,
        invocations=invocation_shares(tables),
        arms=arms,
        relations=relation_gains(seeds, by, tables.ranges),
        transfer=transfer_table(seeds, by),
        profiles=profiles(seeds, by),
        improvements=improvements(seeds, declared, by),
        ranks=rank_pairs,
        checks=check_table(seeds, declared, by),
        tokens=token_efficiency(seeds, arms, by, tables.ranges),
        curves=learning_curves(tables, by),
        lineage=lineage(tables),
        gate=gate_calibration(tables, by),
        rank_test=rank_test,
        attendance=attendance.by_arm(),
        normalised=normalised_scores(seeds, tables.ranges, by),
        epochs=epoch_table(tables.episodes, by),
        variance=variance_table(tables.episodes),
        sensitivity=opinions.table,
        cluster_values=opinions.values,
        findings=(*found, *from_elsewhere),
        looks=tables.looks,
        unfinished=unfinished(attendance, learning_owed(tables, population)),
        missing=tuple(missing_warnings(attendance, declared)),
        warnings=(*caveats(tables), *widened(found, cells), *_unbounded(tables, margin)),
        level=by.level,
        resamples=by.resamples,
        margin=bound,
        population=None if population is None else analyse_population(replace(population, ranges=tables.ranges), by),
        memories=beside,
        retries=compare_retries(memories, by),
        influence=influence_table({POOL: tables, **memories}, given, by),
        types=type_table(tables, by),
        paper=beside_paper(paper, (cells, reuse), memories, by) if paper else None,
    )


def _unbounded(tables: Tables, margin: float | None) -> list[str]:
    unknown = sorted(set(tables.episodes["task"].astype("str")) - set(tables.ranges))
    if margin is None or not unknown:
        return []
    return [
        f"Nothing is called equivalent in {', '.join(unknown)}: the range of its returns is not known, so what learned "
        "pools that were not met could add is not bounded."
    ]
