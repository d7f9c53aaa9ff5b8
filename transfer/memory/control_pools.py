"""Control pools: what a pool must beat to have earned anything by its content."""

from __future__ import annotations

from collections.abc import Sequence

from agents.skill import Skill
from transfer.memory.experience import Trajectory
from transfer.memory.pool import SkillPool


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
