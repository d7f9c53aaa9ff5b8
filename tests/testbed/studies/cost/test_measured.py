"""Speeds by the accounts of a run: from made-up accounts whose truth is known."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from testbed.config.study import ConfigError
from testbed.records.side_files.accounts import NAME, AccountLine, Entry
from testbed.studies.cost.fleet_file import load_fleet
from testbed.studies.cost.measured import fleet_toml, measure

MODEL = "tests.support.third_party:FakeModel"


def write_accounts(run: Path, periods: int, *, noise: float = 0.0) -> None:
    """A token read costs 2 ms, one written 5 ms, a pass 40 ms, a scored token 8 ms; batches of 1 to 12."""
    rng = np.random.default_rng(7)
    lines = []
    for _ in range(periods):
        read, written, batch, scored = (
            rng.integers(5_000, 30_000),
            rng.integers(1_000, 9_000),
            rng.integers(1, 13),
            rng.integers(0, 4_000),
        )
        seconds = 0.002 * read + 0.005 * written + 0.04 * written / batch + 0.008 * scored
        seconds *= 1 + noise * rng.standard_normal()
        entry = Entry(
            agent="a",
            model=MODEL,
            use="act",
            arm="self",
            calls=10,
            prompt_tokens=int(read) + 1000,
            cached_tokens=1000,
            completion_tokens=int(written),
            scored=1,
            scored_tokens=int(scored),
            seconds=float(seconds * batch),
        )
        lines.append(
            AccountLine(at=datetime.now(UTC), process=1, seconds=float(seconds), entries=(entry,)).model_dump_json()
        )
    (run / NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def path(run, study) -> Path:
    """A run of a model that takes time, whose accounts are about to be made up."""
    return run(study(learning_runs=1, agents=[{"name": "a", "model": MODEL}])).path


def test_costs_are_found_again(path, tmp_path):
    write_accounts(path, 60)
    [found] = measure([path])
    [cost] = found.costs
    assert (cost.prompt, cost.written, cost.passing, cost.scored) == pytest.approx(
        (0.002, 0.005, 0.04, 0.008), rel=0.15
    )
    assert found.error < 0.05
    (tmp_path / "fleet.toml").write_text(fleet_toml([found], [path], 24.0, {MODEL: 1.5}), encoding="utf-8")
    speed = load_fleet(tmp_path / "fleet.toml").speed(MODEL)
    assert speed.decoding(8) == pytest.approx(8 / (0.04 + 8 * 0.005), rel=0.1)
    assert speed.weights == 1.5
    assert " on " in speed.measured


def test_noise_changes_no_total(path):
    write_accounts(path, 60, noise=0.2)
    [found] = measure([path])
    [cost] = found.costs
    assert cost.prompt == pytest.approx(0.002, rel=0.5)
    assert found.error == pytest.approx(0.16, abs=0.06)


def test_too_short_a_run_is_said(path):
    write_accounts(path, 2)
    with pytest.raises(ConfigError, match=r"2 periods .* and 6 are needed; measure a longer run"):
        measure([path])
