"""Reports of run directories: written, compared, audited."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.audit import AuditError, audit
from analysis.matrix.comparison import Comparison
from analysis.report.write import RESAMPLES, report, report_comparison
from analysis.results import Findings
from testbed.config.study import ConfigError
from testbed.records.run_directory import RunDirectory
from testbed.reports.population_tables import load_annals
from testbed.reports.tables import load_run


def write_report(run: Path, *, resamples: int = RESAMPLES) -> Findings:
    """Analyse a run; the report lies in `run/report`. Raises StoreError or TableError in one sentence."""
    config = RunDirectory.open(run).config()
    annals = load_annals(run) if config.study == "population" else None
    tables = load_run(run)
    return report(tables, run / "report", annals=annals, resamples=resamples, seed=config.seed, margin=config.margin)


def write_comparison(runs: Sequence[Path], out: Path, *, resamples: int = RESAMPLES) -> Comparison:
    """Compare runs on what they have in common; the report lies in `out`. Raises CompareError with the reasons."""
    names = [run.resolve().name for run in runs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"two of the runs are called {twice[0]!r}; rename one directory, so that they can be told apart"
        )
    tables = dict(zip(names, map(load_run, runs), strict=True))
    return report_comparison(tables, out, resamples=resamples, seed=RunDirectory.open(runs[0]).config().seed)


def audit_run(run: Path) -> list[str]:
    """One sentence for each number of the run's report that its episodes do not give.

    Raises AuditError where there is no report that can be audited, StoreError where the records are damaged.
    """
    config = RunDirectory.open(run).config()
    recorded = _findings(run / "report" / "findings.json")
    stored = {path.stem: pd.read_parquet(path) for path in sorted((run / "report" / "tables").glob("*.parquet"))}
    annals = load_annals(run) if config.study == "population" else None
    return audit(load_run(run), recorded, stored, annals)


def _findings(path: Path) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AuditError(f"{path}: there is no report; write it with `procmem report {path.parent.parent}`") from None
    except ValueError as error:
        raise AuditError(f"{path}: damaged ({error}); write it again: `procmem report {path.parent.parent}`") from None
