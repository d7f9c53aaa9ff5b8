"""Topologies: who gives to whom."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.members import KEEP
from transfer.exchange.admission import OnTrust
from transfer.exchange.exchange import Terms
from transfer.exchange.policies import EXCHANGES
from transfer.exchange.topology import Graph, Route, TopologyError, directed


@pytest.mark.parametrize("name", [name for name in EXCHANGES if name not in ("isolated", "commons")])
@given(size=st.integers(0, 9), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=25)
def test_routes_are_real_and_once_only(name, size, seed):
    names = [f"a{index}" for index in range(size)]
    graph = {"a0": ("a1", "a2"), "a3": ("a0",)}
    topology = EXCHANGES[name](Terms(graph=graph), OnTrust(), KEEP).topology  # type: ignore[attr-defined]
    merits = {each: float(np.random.default_rng(seed).normal()) for each in names}
    routes = topology.routes(merits, np.random.default_rng(seed))
    assert routes == topology.routes(merits, np.random.default_rng(seed))
    assert len(set(routes)) == len(routes)
    assert all(route.giver != route.receiver and {*route} <= {*names} for route in routes)
    if size < 2:
        assert routes == []


def test_shapes():
    merits = {"a": 1.0, "b": 3.0, "c": float("nan"), "d": 2.0}
    rng = np.random.default_rng(0)
    shape = {name: EXCHANGES[name](Terms(hub="c", size=4), OnTrust(), KEEP) for name in EXCHANGES}
    routes = {name: each.topology.routes(merits, rng) for name, each in shape.items() if hasattr(each, "topology")}
    assert routes["ring"] == [Route(*pair) for pair in ("ab", "bc", "cd", "da")]
    assert set(routes["star"]) == {Route("c", name) for name in "abd"}
    assert set(routes["broadcast"]) == {Route("b", name) for name in "acd"}
    assert set(routes["tournament"]) == {Route("b", name) for name in "acd"}
    assert len(routes["pairs"]) == 2
    assert len({name for route in routes["pairs"] for name in route}) == 4
    assert Counter(route.receiver for route in routes["migration"]) == dict.fromkeys("abcd", 1)
    assert directed([Route("a", "b")], "both") == [Route("a", "b"), Route("b", "a")]
    assert directed([Route("a", "b")], "backward") == [Route("b", "a")]


def test_a_bad_graph_is_refused_in_one_sentence():
    with pytest.raises(TopologyError, match="'a' give to itself"):
        Graph({"a": ("b", "a")})
    with pytest.raises(TopologyError, match="'zoe', who is not there; there are: a, b"):
        Graph({"a": ("zoe",)}).check(["a", "b"])
