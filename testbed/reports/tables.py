"""A run's records as the tables that analysis reads."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.matrix.comparison.claims import Adaptive
from analysis.matrix.comparison.paper import Paper
from analysis.tables.population import PopulationTables
from analysis.tables.run import Tables
from analysis.tables.schema import TableError
from testbed.config.study import StudyConfig
from testbed.records.run_directory import RunDirectory
from testbed.reports.rows.matrix import MatrixReader
from testbed.reports.rows.population import PopulationReader
from testbed.reports.rows.reader import Reader, read_records


class RunTables(NamedTuple):
    """Everything a report is made from."""

    run: Tables
    """Of the study's own pool."""
    population: PopulationTables | None
    """None but for a population study."""
    memories: dict[str, Tables]
    """Of each other memory, by name, as if it were the study's own; the arm without memory is in all of them."""
    given: dict[str, Tables]
    """Of each pool that the study was given, by name: the arms given and none."""
    paper: Paper | None
    """Whose values the study asks for beside its own."""
    adaptive: Adaptive | None
    """What the study is to decide as its data come; None of one of a fixed size."""

    def plans(self) -> dict[str, pd.DataFrame]:
        """What the study declares, by memory; "" is its own pool."""
        return {"": self.run.plan} | {name: tables.plan for name, tables in (self.memories | self.given).items()}


def load_run(path: Path | str) -> Tables:
    """The tables of one run directory. Raises StoreError or TableError in one sentence."""
    return read_run(RunDirectory.open(Path(path))).run


def load_population(path: Path | str) -> PopulationTables:
    """The tables of a population's run directory. Raises StoreError or TableError in one sentence."""
    found = read_run(RunDirectory.open(Path(path))).population
    if found is None:
        raise TableError(f"{path}: its study is no population; load_run reads it.")
    return found


def read_run(run: RunDirectory, *others: Reader) -> RunTables:
    """All tables of a run, whose files are read once; `others` look on. Raises as `load_run`."""
    study, config = run.study(), run.config()
    matrix = MatrixReader(config, run.path.name)
    memories = {memory.name: MatrixReader(config, run.path.name, memory) for memory in config.memories}
    given = {pool.name: MatrixReader(config, run.path.name, pool) for pool in config.pools}
    population = PopulationReader(config) if config.study == "population" else None
    readers = [matrix, *memories.values(), *given.values(), *([population] if population else []), *others]
    read_records(run, readers)
    notes = run.notes()
    return RunTables(
        matrix.tables(study, population, notes),
        population.tables() if population else None,
        {name: reader.tables(study, None, notes) for name, reader in memories.items()},
        {name: reader.tables(study, None, notes) for name, reader in given.items()},
        _paper(config),
        matrix.adaptive(),
    )


def _paper(config: StudyConfig) -> Paper | None:
    models = {agent.name: agent.model for agent in config.agents}
    reasoning = {agent.name: agent.reasoning for agent in config.agents}
    return None if config.paper is None else Paper(config.paper, models, reasoning)
