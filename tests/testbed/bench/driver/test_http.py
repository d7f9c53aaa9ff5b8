"""The driver's bench: its figures are of the work it says they are of. Nothing here depends on speed."""

from __future__ import annotations

from testbed.bench.driver import http
from testbed.bench.driver.http import bench_http


def test_it_plays_over_http_and_both_clients_are_told_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(http, "CALLS", 20)
    monkeypatch.setattr(http, "PER_SERVER", 1)
    monkeypatch.setattr(http, "SECONDS", 0.01)
    found = bench_http(tmp_path, episodes=4, in_flight=4, servers=(1, 2))
    assert found.equal
    assert found.steps >= found.episodes == 4
    assert list(found.scaling) == [1, 2]
    assert found.ratio > 0
