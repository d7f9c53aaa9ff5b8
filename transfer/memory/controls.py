"""Controls: what a memory must beat to have earned anything by its content, or by choosing what to recall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from agents.guide import Guide, Recalled, State
from agents.skill import Skill
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Memory, Seat, Unit, UnitMemory, recallable
from transfer.memory.pool import SkillPool


def shuffle(memory: Memory, others: Sequence[Memory]) -> Memory:
    """The same memory with the words of others in it."""
    if isinstance(memory, SkillPool):
        return shuffle_procedures(memory, [other for other in others if isinstance(other, SkillPool)])
    return shuffle_units(memory, others) if isinstance(memory, UnitMemory) else memory


def shuffle_units(memory: UnitMemory, others: Sequence[Memory]) -> UnitMemory:
    """Each unit under its own key with another's text: that of one of its kind from elsewhere, or of its neighbour.

    A unit stays as it is where nobody has another text of its kind.
    """
    own = {unit.text for unit in memory.units}
    foreign = {unit.id: unit for other in others for unit in other.units if unit.text not in own}
    donors = [foreign[id] for id in sorted(foreign)] or [*memory.units[1:], *memory.units[:1]]
    return memory.holding(_with_text_of_another(unit, index, donors) for index, unit in enumerate(memory.units))


def _with_text_of_another(unit: Unit, index: int, donors: Sequence[Unit]) -> Unit:
    texts = [donor.text for donor in donors if donor.kind == unit.kind and donor.text != unit.text]
    if not texts:
        return unit
    text = texts[index % len(texts)]
    return Unit(kind=unit.kind, text=text, key=unit.key, name=unit.name, parents=(unit.id,))


@dataclass(frozen=True)
class RandomUnits:
    """The same units, as many at a time and as often, but any of them: recall without choosing."""

    memory: UnitMemory

    @property
    def digest(self) -> str:
        return self.memory.digest

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.memory.units

    @property
    def archive(self) -> tuple[str, ...]:
        return self.memory.archive

    def dumps(self) -> str:
        return self.memory.dumps()

    def guide(self, seat: Seat) -> Guide:
        return self.memory.timed(partial(self._recall, seat))

    async def _recall(self, seat: Seat, state: State) -> Recalled:
        known = recallable(self.units, seat.env_seed)
        count = len(await self.memory.choose(seat, state, known))
        drawn = seat.rng.permutation(len(known))[:count]
        return self.memory.show([known[index] for index in drawn], seat, state)


def shuffle_procedures(pool: SkillPool, others: Sequence[SkillPool]) -> SkillPool:
    """Each skill of `pool` with the procedure of another: of a skill learned elsewhere, or else of its neighbour.

    A skill stays as it is where nobody has another procedure.
    """
    own = list(pool.each())
    theirs = {skill.id: skill for other in others for skill in other.each() if skill.id not in pool}
    donors = [theirs[id] for id in sorted(theirs)] or own[1:] + own[:1]
    procedures = [donor.procedure for donor in donors]
    return SkillPool.of(
        (_with_other_steps(skill, procedures[index % len(donors) :] + procedures) for index, skill in enumerate(own)),
        pool.capacity,
    )


def _with_other_steps(skill: Skill, procedures: Sequence[str]) -> Skill:
    """With the first procedure that is not its own."""
    other = next((procedure for procedure in procedures if procedure != skill.procedure), skill.procedure)
    return Skill(
        name=skill.name,
        activation=skill.activation,
        procedure=other,
        termination=skill.termination,
        parents=(skill.id,),
    )


LONGEST = 4000
"""Characters of an episode that are remembered, its end before its beginning."""


def episodes_as_pool(trajectories: Sequence[Trajectory]) -> SkillPool:
    """A pool with one unit per episode; a selector retrieves them by what was seen first, as it does skills."""
    return SkillPool.of(map(_unit, trajectories), len(trajectories))


def _unit(trajectory: Trajectory) -> Skill:
    lines = [f"Seen: {step.observation}\nMove: {step.action}" for step in trajectory.steps]
    text = "\n".join([*lines, f"End: {trajectory.reason}"])
    return Skill(
        name=f"An earlier game that scored {trajectory.total:.3g}",
        activation=(trajectory.steps[0].observation if trajectory.steps else trajectory.rules)[:1000]
        or "At the start.",
        procedure=text[-LONGEST:],
        termination="The game ends.",
    )
