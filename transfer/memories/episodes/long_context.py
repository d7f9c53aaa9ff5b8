"""Long context: as many past episodes as fit, word for word (many-shot in-context learning, 2404.11018; in code
`FullHistoryAppending` of suzgunmirac/dynamic-cheatsheet 1cf258c, which has no budget and overflows).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from agents.guide import Recalled, State
from agents.models.model import Model
from transfer.memories.choices import MemoryChoices
from transfer.memories.episodes.rag import episode_unit, remembered
from transfer.memories.lessons import Lessons, Means, MemoryKind, MemoryLearner
from transfer.memory.memory import Seat, Unit, UnitMemory, inherited

Order = Literal["newest", "best"]


class LongContextChoices(MemoryChoices):
    order: Order = "newest"
    """Which episodes come first while there is room: the official code keeps the whole history, the newest last."""
    keep: Literal["all", "successes"] = "all"
    """What is stored: the official code keeps failures, too."""


class LongContext(UnitMemory):
    """Whole episodes, the newest or the best first while there is room, shown from the oldest to the newest."""

    label: ClassVar[str] = "long_context"

    order: Order
    returns: Mapping[str, float] = {}
    """R(τ) by unit."""
    longest: str = ""
    """The longest observation met so far: a turn of the episode to come may have as many tokens."""

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        return self.ranked(units)

    def ranked(self, units: Sequence[Unit]) -> Sequence[Unit]:
        """Units stand in the order of their writing; of equally good ones the newest comes first."""
        newest = list(reversed(units))
        if self.order == "newest":
            return newest
        return sorted(newest, key=lambda unit: -self.returns.get(unit.id, 0.0))

    def arrange(self, chosen: Sequence[Unit]) -> Sequence[Unit]:
        places = {unit.id: place for place, unit in enumerate(self.units)}
        return sorted(chosen, key=lambda unit: places[unit.id])

    def show(self, chosen: Sequence[Unit], seat: Seat, state: State) -> Recalled:
        """Reckons with turns as long as the longest one met: a text that fills the context would push them out."""
        ahead = state._replace(turns=(*state.turns, (self.longest, "")))
        return super().show(chosen, seat, ahead)

    def holding(self, units: Iterable[Unit]) -> Self:
        held = tuple(units)
        return self.model_copy(update={"units": held, "returns": inherited(self.returns, held)})


class LongContextLearner(MemoryLearner[LongContext]):
    """Stores episodes as they are; asks no model."""

    def __init__(self, means: Means, choices: LongContextChoices) -> None:
        super().__init__(means, LongContext(order=choices.order))
        self._keep = choices.keep

    async def learn(self, memory: LongContext, lessons: Lessons) -> LongContext:
        actor = self._means.actor
        units, returns, seen = memory.units, dict(memory.returns), [memory.longest]
        for trajectory, success in sorted(lessons.outcomes, key=lambda outcome: outcome.trajectory.id):
            seen += [step.observation for step in trajectory.steps]
            if success or self._keep == "all":
                unit = episode_unit(trajectory)
                units = remembered(units, unit)
                if unit.id not in returns:
                    lessons.written(unit, text="", value=trajectory.total)
                returns[unit.id] = trajectory.total
        longest = max(seen, key=lambda text: (actor.count(text), text))
        grown = memory.model_copy(update={"units": units, "returns": returns, "longest": longest})
        return _without_what_never_fits(grown, actor, lessons)


def _without_what_never_fits(memory: LongContext, actor: Model, lessons: Lessons) -> LongContext:
    """Episodes for which the whole context has no room beside those that come first go into the archive."""
    left, out = actor.card.context, dict[str, Unit]()
    for unit in memory.ranked(memory.units):
        left -= actor.count(unit.text)
        if left < 0:
            out[unit.id] = unit
            lessons.dropped(unit, "no room in the context beside those that come first")
    archived = {trajectory for unit in out.values() for trajectory in unit.trajectories}
    return memory.model_copy(
        update={
            "units": tuple(unit for unit in memory.units if unit.id not in out),
            "returns": {id: total for id, total in memory.returns.items() if id not in out},
            "archive": tuple(sorted({*memory.archive, *archived})),
        }
    )


def _make(means: Means, given: Mapping[str, Any]) -> LongContextLearner:
    return LongContextLearner(means, LongContextChoices.read(given, LongContext.label))


LONG_CONTEXT = MemoryKind(
    LongContext,
    _make,
    "many-shot in-context learning (2404.11018); suzgunmirac/dynamic-cheatsheet 1cf258c: all episodes",
)
