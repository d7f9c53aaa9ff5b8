"""`model_resources`: what each model that runs in a process of its own asks of a cluster, and whether that is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from testbed.config.agent import AgentConfig
from testbed.play.engines.cluster.address import EngineError

Resources = Mapping[str, float]
"""By Ray's names: "CPU", "GPU"."""


def model_resources(
    models: Mapping[str, AgentConfig], gpus: float, machines: Sequence[Resources]
) -> dict[str, Resources]:
    """Of each model, by its key, the CPU and GPU that it asks for, whose places all fit on these `machines`.

    A model asks for `gpus` GPUs where there are any, else for an equal part of most processors. Ray places it on one
    machine, so that what all have together may be of no use, and would wait for a better cluster for ever.
    Raises EngineError instead.
    """
    some = any(machine.get("GPU") for machine in machines)
    for agent in models.values():
        if agent.device not in ("auto", "cpu") and not some:
            raise EngineError(
                f'agent {agent.name}: device = "{agent.device}", and no machine of the cluster has a GPU that Ray '
                'knows of; write device = "auto" or "cpu", or start Ray with --num-gpus'
            )
    on_gpu = [key for key, agent in models.items() if agent.device != "cpu" and some]
    room = sum(_places(machine.get("GPU", 0.0), gpus) for machine in machines)
    if on_gpu and room < len(on_gpu):
        there = ", ".join(f"{machine['GPU']:g}" for machine in machines if machine.get("GPU"))
        raise EngineError(
            f"{len(on_gpu)} models ask for {gpus:g} GPUs each, and the cluster's machines, with {there} GPUs, have "
            f"room for {room} of them; write a part of one into the study, [engine] gpus = 0.5, or add machines"
        )
    share = _share(len(models) - len(on_gpu), [machine.get("CPU", 0.0) for machine in machines])
    return {key: {"GPU": gpus} if key in on_gpu else {"CPU": share} for key in models}


def _places(there: float, each: float) -> int:
    """Models that find room; several share a GPU, and a part of one is not joined to a part of another."""
    return int(there) * int(1 / each + 1e-9) if each < 1 else int(there / each + 1e-9)


def _share(models: int, processors: Sequence[float]) -> float:
    """The largest number of processors that each of the models can have; one is left for a worker where each has
    several."""
    if not models:
        return 0.0
    for share in _shares(models, processors):
        if sum(int(there / share + 1e-9) for there in processors) >= models:
            return share
    return 0.0


def _shares(models: int, processors: Sequence[float]) -> Iterator[float]:
    each = sum(processors) / models
    if each > 1:
        most = int(min(sum(processors) - 1, max(processors)) // models)
        yield from (float(share) for share in range(max(1, most), 0, -1))
    yield from (share / 100 for share in range(min(100, int(100 * each)), 0, -1))
