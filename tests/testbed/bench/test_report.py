"""The made-up run on which the report is timed is one that an audit believes; and a report passes anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.bench.report import ReportWorkload, bench_report
from testbed.records.run_directory import RunDirectory
from testbed.reports.audit import check_records

SMALL = ReportWorkload(agents=2, tasks=2, learning_runs=2, episodes=2, skills=3, elsewhere=True)


def test_the_made_up_run_is_a_whole_and_honest_one(tmp_path: Path):
    run = RunDirectory.open(SMALL.write(tmp_path))
    faults, found = check_records(run, run.config())
    assert faults == []
    assert len(found.run.episodes) == 2 * 2 * (1 + 4) * 2 * 2
    assert found.run.pools.groupby("learning_run")["unit"].nunique().tolist() == [12, 12]
    assert found.run.pools["unit"].nunique() == 24


def test_what_it_owes_is_told(tmp_path: Path):
    run = RunDirectory.open(replace(SMALL, elsewhere=False).write(tmp_path))
    faults, _ = check_records(run, run.config())
    assert len(faults) == 1
    assert faults[0].startswith("32 of the 80 episodes to evaluate that the study plans are not there")


@pytest.mark.slow
def test_a_report_is_measured_in_processor_time_beside_its_baseline(tmp_path: Path):
    figures = bench_report(replace(SMALL, tasks=1, episodes=20), tmp_path)
    assert figures.ratio == figures.cpu_seconds / figures.parsing_cpu_seconds > 1
    assert 0 < figures.parsing_cpu_seconds < figures.cpu_seconds
    assert figures.wall_seconds > 0 <= figures.load


@pytest.mark.slow
def test_an_honest_report_passes_on_another_processor(tmp_path: Path):
    """Review 1.8: OpenBLAS sums in another order on another kernel, and the audit called that a forgery."""
    workload = ReportWorkload(agents=2, tasks=1, learning_runs=9, episodes=6)
    run = workload.write(tmp_path)
    for command, kernel in (("report", "Haswell"), ("audit", "Prescott")):
        environment = os.environ | {"OPENBLAS_CORETYPE": kernel}
        done = subprocess.run(
            [sys.executable, "-m", "testbed", command, str(run)], env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
