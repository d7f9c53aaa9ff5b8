"""Audits of reports on disk: the records against the study, then the whole report against the records."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from analysis.audit import AuditError, compare_reports, compare_settings, read_findings
from analysis.report.write import report, report_comparison
from testbed.config.study import StudyConfig
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.manifest import verify_chain
from testbed.reports.record_checks import RecordCheck
from testbed.reports.tables import RunTables, read_run
from testbed.reports.write import run_cost

NOT_COMPARED = "Nothing else was compared: a report with other settings gives other numbers."


def audit_run(run: Path, out: Path | None = None) -> list[str]:
    """One sentence for whatever in the records does not fit the study, or in the report does not fit the records.

    The report is the run's own, or lies in `out`; `run` may also be the folder of a comparison. Raises AuditError where
    there is no report that can be audited, StoreError where the records cannot be read.
    """
    if not (run / "study.json").exists() and (run / "findings.json").exists():
        return _audit_comparison(run)
    stored = out or run / "report"
    recorded = read_findings(stored, f"procmem report {run}" + (f" --out {out}" if out else ""))
    directory = RunDirectory.open(run)
    config = directory.config()
    faults_found, found = check_records(directory, config)
    declared: dict[str, Any] = {"seed": config.seed, "resamples": config.resamples, "margin": config.margin}
    if other := compare_settings(recorded, declared):
        return [*faults_found, *other, NOT_COMPARED]
    with TemporaryDirectory(prefix="procmem-audit-") as scratch:
        report(
            found.run,
            Path(scratch),
            population=found.population,
            memories=found.memories,
            given=found.given,
            paper=found.paper,
            adaptive=found.adaptive,
            cost=run_cost(run, config),
            **declared,
        )
        return [*faults_found, *compare_reports(stored, Path(scratch))]


def _audit_comparison(out: Path) -> list[str]:
    recorded = read_findings(out, "procmem report RUN RUN --out …")
    names, places = (_texts(recorded.get(key)) for key in ("runs", "places"))
    if not names or len(names) != len(places):
        raise AuditError(
            f"{out / 'findings.json'}: does not say where its runs lie; for the report of one run name the run: "
            f"`procmem audit RUN --report {out}`; else write the comparison again."
        )
    directories = [RunDirectory.open(out / place) for place in places]
    configs = [directory.config() for directory in directories]
    faults_found: list[str] = []
    tables: dict[str, RunTables] = {}
    for name, directory, config in zip(names, directories, configs, strict=True):
        faults, tables[name] = check_records(directory, config)
        faults_found += [f"{name}: {fault}" for fault in faults]
    declared: dict[str, Any] = {"seed": configs[0].seed, "resamples": configs[0].resamples}
    if other := compare_settings(recorded, declared):
        return [*faults_found, *other, NOT_COMPARED]
    with TemporaryDirectory(prefix="procmem-audit-") as scratch:
        runs = {name: found.run for name, found in tables.items()}
        report_comparison(runs, Path(scratch), places=places, **declared)
        return [*faults_found, *compare_reports(out, Path(scratch))]


def check_records(directory: RunDirectory, config: StudyConfig) -> tuple[list[str], RunTables]:
    """One sentence for whatever in a run's records does not fit its study or themselves; and their tables."""
    check = RecordCheck(config)
    found = read_run(directory, check)
    sealed = [f"{fault.sentence}." for fault in verify_chain(directory.path) if fault.severity == "error"]
    return [*sealed, *_study_differences(directory, config), *check.differences(found.plans())], found


def _study_differences(directory: RunDirectory, config: StudyConfig) -> list[str]:
    recorded = directory.study().digest
    faults_found: list[str] = []
    if recorded != config.digest:
        faults_found.append(f"study.json: the digest {recorded} is not that of what it says ({config.digest}).")
    if not directory.path.resolve().name.endswith(config.digest):
        faults_found.append(
            f"study.json: the directory is called {directory.path.resolve().name}, its study {config.digest}."
        )
    return faults_found


def _texts(value: object) -> list[str]:
    """The entries of a list, as texts; none of anything else."""
    return [str(each) for each in cast("list[object]", value)] if isinstance(value, list) else []
