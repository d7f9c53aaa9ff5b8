"""The short form of the proof: intervals cover, tests and verdicts err, as often as promised (`procmem calibrate`)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.simulation.calibration import calibrate
from analysis.simulation.published import published
from analysis.simulation.rows import BOUNDS, Row, markdown

DOCS = Path(__file__).parents[3] / "docs" / "calibration.md"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return calibrate(np.random.default_rng(11), simulations=250, resamples=299, clusters=(3, 10))


def test_what_the_report_uses_keeps_its_bounds(rows):
    promised = [row for row in rows if row.promised]
    # 250 simulations of some two hundred rows: a row may miss by chance, so its Monte-Carlo interval is widened by half
    slack = {row: 0.75 * (row.high - row.low) for row in promised}
    far = [
        row
        for row in promised
        if row.rate + slack[row] < BOUNDS[row.kind][0] or row.rate - slack[row] > BOUNDS[row.kind][1]
    ]
    assert far == []


def test_no_report_contradicts_its_interval(rows):
    (row,) = [row for row in rows if row.method == "report: contradicts its interval"]
    assert row.rate == 0


def test_the_simulation_can_tell_a_bad_method(rows):
    by_name = {(row.method, row.world, row.clusters): row for row in rows}
    assert not by_name["t test, episodes as independent", "two equal arms, normal, ICC 0.3", 10].meets
    assert not by_name["t on run means", "solved 0.02, ICC 0.3", 10].meets
    assert not by_name["Wilson, episodes as independent", "solved 0.3, ICC 0.3", 10].meets
    assert not by_name["exact McNemar", "solved 0.3, ICC 0.3", 10].meets
    assert not by_name["t test, no guard", "10% of pools work, mean difference 0", 10].meets


def test_what_is_not_promised_errs(rows):
    """Why a guard, an assumption, an adjustment or a worst case is needed."""
    by_name = {(row.method, row.world, row.clusters): row.rate for row in rows}
    ruin, lost = "10% of pools ruin, mean difference 0", "arms alike; treated returns below .3 are lost"
    assert by_name["report", ruin, 10] > 0.2
    assert by_name["report: on no assumption", ruin, 10] < 0.03
    at_margin = "normal, shared reference, all at the margin"
    assert by_name["two one-sided t tests, any of 8 equivalent", at_margin, 10] > 0.1
    assert by_name["report: Holm, any of 8 equivalent", at_margin, 10] < 0.07
    assert by_name["t test on the episodes that are there", lost, 10] > 0.4 > by_name["report", lost, 10]


def test_rows_are_plain(rows):
    row = json.loads(json.dumps(rows[0].plain()))
    assert {"method", "clusters", "nominal", "rate", "low", "high", "meets"} <= set(row)


def test_the_published_table_is_the_full_form():
    full = published()
    assert {2, 3, 6, 10, 30} <= {row.clusters for row in full if row.promised}
    assert max(row.simulations for row in full) >= 1000
    assert markdown(full) in DOCS.read_text(encoding="utf-8")
