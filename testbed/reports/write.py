"""Reports of run directories: written, and compared."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.matrix.comparison.runs import Comparison
from analysis.report.headline import Cost
from analysis.report.write import report, report_comparison
from analysis.results import Results
from analysis.tables.run import Tables
from testbed.config.study import ConfigError, StudyConfig
from testbed.play.course.prices import Prices
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.accounts import read_accounts
from testbed.reports.place import replacing
from testbed.reports.tables import read_run


def write_report(
    run: Path, out: Path | None = None, *, resamples: int | None = None, memory: str | None = None
) -> Results:
    """Analyse a run; the report lies in `out`, or in `run/report`. `resamples` other than the study's are a quick look.

    `memory` names one of the study's other memories, which is then reported as the pool is, in `run/report-NAME`.
    Raises ConfigError, StoreError or TableError in one sentence.
    """
    directory = RunDirectory.open(run)
    config = directory.config()
    found = read_run(directory)
    tables = found.run if memory is None else _of_memory(found.memories, memory)
    with replacing(out or report_place(run, memory)) as stage:
        return report(
            tables,
            stage,
            population=found.population,
            memories={} if memory else found.memories,
            given={} if memory else found.given,
            paper=None if memory else found.paper,
            adaptive=found.adaptive,
            cost=run_cost(run, config),
            resamples=resamples or config.resamples,
            seed=config.seed,
            margin=config.margin,
        )


def run_cost(run: Path, config: StudyConfig) -> Cost | None:
    """What a run has taken so far, by its accounts; None of a run of before they were kept."""
    accounts = read_accounts(run)
    if not accounts.posts:
        return None
    total, hours, prices = accounts.total, accounts.seconds / 3600, Prices.of(config)
    tokens = total.prompt_tokens + total.completion_tokens + total.scored_tokens
    return Cost(tokens, hours, prices.cost(accounts.posts, hours) if prices else None)


def report_place(run: Path, memory: str | None = None) -> Path:
    """Where a run's report lies, and that of one of its memories."""
    return run / ("report" if memory is None else f"report-{memory}")


def _of_memory(memories: Mapping[str, Tables], name: str) -> Tables:
    if name not in memories:
        there = ", ".join(memories) or "none but its own pool"
        raise ConfigError(f"the study has no memory {name!r}; it has: {there}")
    return memories[name]


def write_comparison(runs: Sequence[Path], out: Path, *, resamples: int | None = None) -> Comparison:
    """Compare runs on what they have in common; the report lies in `out`. Raises CompareError with the reasons.

    The seed, and the resamples where none are given, are those of the first run's study.
    """
    names = [run.resolve().name for run in runs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"two of the runs are called {twice[0]!r}; rename one directory, so that they can be told apart"
        )
    directories = [RunDirectory.open(run) for run in runs]
    config = directories[0].config()
    tables = {name: read_run(directory).run for name, directory in zip(names, directories, strict=True)}
    places = [os.path.relpath(run.resolve(), out.resolve()) for run in runs]
    with replacing(out) as stage:
        return report_comparison(
            tables, stage, resamples=resamples or config.resamples, seed=config.seed, places=places
        )
