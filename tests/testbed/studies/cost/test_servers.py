"""The simulation against what queueing theory says in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.studies.cost.clock import Clock, Places, Process, Together
from testbed.studies.cost.fleet_file import FleetFile, Tokens
from testbed.studies.cost.placement import Site, place
from testbed.studies.cost.servers import Asked, Question, Servers

NO_TIME = 1e12


def fleet(*models: dict, memory: float = 80, count: int = 1, **more) -> FleetFile:
    common = {"weights": 16, "prompt": NO_TIME, "decode": {1: 1.0}, "load": 0, "sleep": 0, "wake": 0}
    return FleetFile.model_validate(
        {"gpus": [{"count": count, "memory": memory}], "models": [common | model for model in models], **more}
    )


def play(fleet: FleetFile, processes, places: int | None = None) -> tuple[float, Servers]:
    """`processes` as lists of (model, tokens)."""
    clock = Clock()
    servers = Servers(clock, place(fleet, {each.model: 1.0 for each in fleet.models}), fleet)
    room = Places(places or len(processes))

    def one(asked) -> Process:
        yield room
        for model, tokens in asked:
            yield Question(servers, model, tokens)
        room.leave()

    def whole() -> Process:
        yield Together(map(one, processes))

    clock.start(whole())
    return clock.run(), servers


def test_one_after_the_other_is_the_sum():
    speeds = fleet({"model": "m", "prompt": 100, "decode": {1: 10, 8: 50}, "score": 20})
    asked = [[("m", Tokens(prompt=30, written=7))] * 4 for _ in range(5)]
    assert play(speeds, asked, places=1)[0] == pytest.approx(20 * (0.3 + 0.7))
    assert play(speeds, [[("m", Tokens(scored=10))] * 3], places=1)[0] == pytest.approx(1.5)


def test_an_unbounded_batch_takes_as_long_as_its_longest():
    speeds = fleet({"model": "m", "decode": {1: 10, 1000: 10_000}, "rows": 1000})
    asked = [[("m", Tokens(written=count))] for count in range(1, 101)]
    took, servers = play(speeds, asked)
    assert took == pytest.approx(10.0)
    assert servers.stations[0].servers["m"].most == 100
    # equal ones in so many places come in rounds
    assert play(speeds, [[("m", Tokens(written=20))]] * 50, places=8)[0] == pytest.approx(7 * 2.0)


@pytest.mark.parametrize("places", [1, 3, 64])
def test_a_server_that_gains_nothing_by_batches_takes_the_sum_at_any_concurrency(places):
    speeds = fleet({"model": "m", "prompt": 50, "decode": {1: 10, 64: 10}})
    asked = [[("m", Tokens(prompt=5, written=count))] for count in (1, 2, 3, 4) * 8]
    assert play(speeds, asked, places=places)[0] == pytest.approx(32 * 0.1 + 80 / 10)


def test_models_side_by_side_share_their_processor():
    speeds = fleet({"model": "a"}, {"model": "b"})
    took, servers = play(speeds, [[("a", Tokens(written=3))], [("b", Tokens(written=5))]])
    assert took == pytest.approx(8.0)
    assert sum(station.changes for station in servers.stations) == 0
    apart = fleet({"model": "a", "copies": 1}, {"model": "b", "copies": 1}, count=2)
    assert play(apart, [[("a", Tokens(written=3))], [("b", Tokens(written=5))]])[0] == pytest.approx(5.0)


def test_turns_are_as_few_as_the_work_allows():
    """Three models that fill a GPU each: three loads, two sleeps, and the idle moments before a change."""
    own = {"weights": 50, "load": 100, "sleep": 40, "wake": 60, "decode": {1: 1, 100: 100}}
    speeds = fleet(*({"model": name} | own for name in "abc"))
    asked = [[(name, Tokens(written=10))] * 5 for name in "abc" for _ in range(4)]
    took, servers = play(speeds, asked)
    assert sum(station.changes for station in servers.stations) == 3
    # the grace is a twentieth of the change before, within bounds: 100 s and 140 s give 5 s
    assert took == pytest.approx(3 * 100 + 2 * 40 + 2 * 5.0 + 3 * 50)


def test_a_chain_over_two_models_that_take_turns_changes_with_every_question():
    own = {"weights": 50, "load": 2, "sleep": 1, "wake": 1}
    speeds = fleet({"model": "a"} | own, {"model": "b"} | own)
    took, servers = play(speeds, [[("a", Tokens(written=1)), ("b", Tokens(written=1))] * 3])
    assert sum(station.changes for station in servers.stations) == 6
    assert took == pytest.approx(6 * 1 + 2 + 3 + 4 * 2 + 0.1 + 0.15 + 3 * 0.1)


@pytest.mark.parametrize(("rows", "seed"), [(1, 1), (10_000, 2)], ids=["first come first served", "shared"])
def test_random_arrivals_wait_as_in_m_m_1(rows, seed):
    """Poisson arrivals (λ = .6), exponential work (μ = 1): a mean stay of 1 / (μ − λ), in either discipline."""
    rng, clock = np.random.default_rng(seed), Clock()
    speeds = fleet({"model": "m", "decode": {1: 1.0}, "rows": rows})
    servers = Servers(clock, [Site((0,), 80.0, ["m"], 18.0)], speeds)
    stays: list[float] = []

    def arrive(work: float) -> None:
        came = clock.now
        servers.stations[0].ask("m", Asked(Tokens(written=work), lambda: stays.append(clock.now - came)))

    at = 0.0
    for between, work in zip(rng.exponential(1 / 0.6, 40_000), rng.exponential(1.0, 40_000), strict=True):
        at += between
        clock.after(at, lambda work=work: arrive(work))
    clock.run()
    assert len(stays) == 40_000
    assert np.mean(stays) == pytest.approx(1 / (1 - 0.6), rel=0.06)
    assert servers.stations[0].busy / clock.now == pytest.approx(0.6, rel=0.03)


def test_a_driver_bounds_the_calls():
    speeds = fleet({"model": "m"}, driver={"calls": 100})
    took, servers = play(speeds, [[("m", Tokens())] * 10] * 50)
    assert took == pytest.approx(5.0, rel=0.01)
    assert servers.driven == pytest.approx(5.0)
