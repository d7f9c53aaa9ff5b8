"""What models ask of a cluster, before anything is placed: Ray would wait for ever for what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.config.agent import AgentConfig
from testbed.play.engines.cluster.address import EngineError
from testbed.play.engines.cluster.placement import model_resources


def models(*devices: str) -> dict[str, AgentConfig]:
    return {f"{n}": AgentConfig(name=f"a{n}", model="m", device=device) for n, device in enumerate(devices)}


CPUS: dict[str, float] = {"CPU": 4.0}
ONE_GPU: dict[str, float] = {"CPU": 4.0, "GPU": 1.0}


@pytest.mark.parametrize(
    ("devices", "gpus", "machines", "asked"),
    [
        (["auto"], 1.0, [ONE_GPU], [{"GPU": 1.0}]),
        (["auto", "cpu"], 1.0, [ONE_GPU], [{"GPU": 1.0}, {"CPU": 3.0}]),
        (["auto", "auto"], 0.5, [ONE_GPU], [{"GPU": 0.5}] * 2),
        (["auto"], 1.0, [CPUS, CPUS], [{"CPU": 4.0}]),
        (["auto", "auto"], 1.0, [CPUS], [{"CPU": 1.0}] * 2),
        (["auto"] * 4, 1.0, [{"CPU": 1.0}] * 3, [{"CPU": 0.5}] * 4),
        (["auto"], 1.0, [{}], [{"CPU": 0.0}]),
    ],
)
def test_what_is_asked_for(devices: list[str], gpus: float, machines: list[Any], asked: list[Any]):
    assert list(model_resources(models(*devices), gpus, machines).values()) == asked


@pytest.mark.parametrize(
    ("devices", "gpus", "machines", "sentence"),
    [
        (["cuda"], 1.0, [CPUS], 'agent a0: device = "cuda", and no machine of the cluster has a GPU'),
        (["auto"], 2.0, [ONE_GPU, ONE_GPU], "1 models ask for 2 GPUs each, .* with 1, 1 GPUs, have room for 0 of them"),
        (["auto"] * 3, 0.6, [{"GPU": 2.0}], "3 models ask for 0.6 GPUs each, .* have room for 2 of them"),
        (["auto", "cuda"], 1.0, [ONE_GPU, CPUS], "gpus = 0.5, or add machines"),
    ],
)
def test_what_no_machine_has_is_a_sentence(devices: list[str], gpus: float, machines: list[Any], sentence: str):
    with pytest.raises(EngineError, match=sentence):
        model_resources(models(*devices), gpus, machines)


@given(count=st.integers(1, 12), machines=st.lists(st.integers(1, 16), min_size=1, max_size=5))
def test_all_find_room(count: int, machines: list[int]):
    """By hand: each goes where most is left."""
    asked = model_resources(models(*["auto"] * count), 1.0, [{"CPU": float(each)} for each in machines])
    left = [float(each) for each in machines]
    for each in asked.values():
        place = left.index(max(left))
        left[place] -= each["CPU"]
        assert left[place] >= -1e-9
        assert each["CPU"] > 0
