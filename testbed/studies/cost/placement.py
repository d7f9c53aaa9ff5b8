"""Which model stands on which GPUs: all that have room at once, and where they have not, in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbed.config.study import ConfigError
from testbed.serving.fleet import USABLE
from testbed.studies.cost.fleet_file import FleetFile, ModelSpeed


@dataclass
class Site:
    """A GPU, or several that hold a model together."""

    gpus: tuple[int, ...]
    memory: float
    """GiB of each of them."""
    models: list[str] = field(default_factory=list[str])
    used: float = 0.0
    """GiB of each that its models need together."""

    @property
    def takes_turns(self) -> bool:
        return self.used > USABLE * self.memory


def place(fleet: FleetFile, work: Mapping[str, float]) -> list[Site]:
    """Every model of `work` (name → seconds of one copy that it has to do) somewhere, big ones first; then copies, each
    of the model with most to do, while there are GPUs left.

    Raises ConfigError where a model fits nowhere.
    """
    free = sorted(
        ((index, gpus.memory) for index, gpus in enumerate(each for each in fleet.gpus for _ in range(each.count))),
        key=lambda gpu: gpu[1],
    )
    speeds = {name: fleet.speed(name) for name in work}
    for speed in speeds.values():
        check_fits(speed, [memory for _, memory in free])
    sites: list[Site] = []
    for name in sorted(work, key=lambda name: (-speeds[name].tensor_parallel, -speeds[name].need)):
        site = _settle(free, speeds[name])
        if site is None:
            site = _least_used(sites, speeds[name])
        else:
            sites.append(site)
        site.models.append(name)
        site.used += speeds[name].need
    copies = dict.fromkeys(work, 1)
    growing = set(work)
    while growing := {name for name in growing if copies[name] < (speeds[name].copies or copies[name] + 1)}:
        name = max(sorted(growing), key=lambda name: work[name] / copies[name])
        site = _settle(free, speeds[name])
        if site is None:
            growing.remove(name)
            continue
        sites.append(site)
        site.models.append(name)
        site.used = speeds[name].need
        copies[name] += 1
    return sites


def check_fits(speed: ModelSpeed, memories: Sequence[float]) -> None:
    """Raises ConfigError where no GPUs of those memories (GiB) can hold the model."""
    enough = [memory for memory in memories if speed.need <= USABLE * memory]
    if not enough:
        raise ConfigError(
            f"{speed.model} fits on no GPU of the fleet: it needs {speed.need:.1f} GiB of each "
            f"({speed.weights:g} of weights over {speed.tensor_parallel}, {speed.cache:g} of cache), and the largest "
            f"has {max(memories):g}, of which {USABLE:.0%} may be filled; raise tensor_parallel or take a smaller model"
        )
    if len(enough) < speed.tensor_parallel:
        raise ConfigError(
            f"{speed.model} has tensor_parallel = {speed.tensor_parallel}, and the fleet has {len(enough)} GPUs that "
            "are large enough"
        )


def _settle(free: list[tuple[int, float]], speed: ModelSpeed) -> Site | None:
    """The smallest free GPUs that can hold the model, no longer free."""
    found = [gpu for gpu in free if speed.need <= USABLE * gpu[1]][: speed.tensor_parallel]
    if len(found) < speed.tensor_parallel:
        return None
    for gpu in found:
        free.remove(gpu)
    return Site(tuple(index for index, _ in found), min(memory for _, memory in found))


def _least_used(sites: Sequence[Site], speed: ModelSpeed) -> Site:
    """Raises ConfigError where no site has as many GPUs as the model needs together."""
    able = [site for site in sites if len(site.gpus) >= speed.tensor_parallel and speed.need <= USABLE * site.memory]
    if not able:
        raise ConfigError(f"no GPUs are left for {speed.model} (tensor_parallel = {speed.tensor_parallel})")
    return min(able, key=lambda site: site.used / site.memory)
