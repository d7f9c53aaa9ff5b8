"""The engines' bench: its figures are of the work it says they are of. Nothing here depends on speed."""

from __future__ import annotations

import pytest

from testbed.bench.driver.engines import bench_engines


def test_without_ray_it_measures_this_process(tmp_path):
    found = bench_engines(tmp_path, workers=(), episodes=20)
    assert found.equal
    assert found.steps >= found.episodes == 20
    assert list(found.steps_per_second) == ["local"]
    assert found.trial_ms_alone["local"] > 0


@pytest.mark.slow
def test_all_engines_play_the_same(tmp_path):
    pytest.importorskip("ray")
    found = bench_engines(tmp_path, workers=(1,), episodes=40)
    assert found.equal
    assert list(found.steps_per_second) == list(found.driver_ms_per_trial) == ["local", "ray 1"]
