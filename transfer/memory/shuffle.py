"""The shuffled-skill control: right activation, wrong steps. What it earns is owed to the prompt's shape alone."""

from __future__ import annotations

from collections.abc import Sequence

from agents.skill import Skill
from transfer.memory.pool import SkillPool


def shuffled(pool: SkillPool, others: Sequence[SkillPool]) -> SkillPool:
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
