"""Fixtures of the analysis tests."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.report.write import report
from analysis.results import Results
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables
from tests.support.simulated_study import simulate


@pytest.fixture(scope="session")
def study() -> Tables:
    return simulate(np.random.default_rng(1), cross_task=True)


@pytest.fixture(scope="session")
def written(study: Tables, tmp_path_factory: pytest.TempPathFactory):
    """A report on disk: (folder, findings)."""
    folder = tmp_path_factory.mktemp("report")
    return folder, report(study, folder, resamples=500, seed=3, margin=0.05)


@pytest.fixture(scope="session")
def found(written) -> Results:
    return written[1]


@pytest.fixture
def by() -> Resampler:
    return Resampler(np.random.default_rng(0), 999)
