"""The benches of long runs: their figures are of the work they say they are of. Nothing here depends on speed."""

from __future__ import annotations

import pytest

from testbed.bench.driver.memory import SHARES, bench_memory
from testbed.bench.driver.resume import EACH, bench_resume


@pytest.mark.parametrize("http", [False, True])
def test_memory_is_looked_at_on_the_way(tmp_path, http):
    found = bench_memory(tmp_path, episodes=20, in_flight=20, http=http)
    assert found.steps >= found.episodes == 20
    assert list(found.mb_by_per_cent) == list(SHARES)
    assert 0 < found.mb_before <= found.mb_at_most


def test_a_run_that_is_resumed_plays_nothing_again(tmp_path):
    found = bench_resume(tmp_path, episodes=2 * EACH, environment="Lever-v0")
    assert found.episodes == 2 * EACH
    assert found.bytes > 100 * found.episodes
    assert found.cpu_seconds > 0
