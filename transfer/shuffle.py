"""The shuffled-skill control: right activation, wrong steps. What it earns is owed to the prompt's shape alone."""

from __future__ import annotations

from collections.abc import Sequence

from agents.skill import Skill
from transfer.pool import SkillPool


def shuffled(pool: SkillPool, others: Sequence[SkillPool]) -> SkillPool:
    """Each skill of `pool` with the procedure of another: of a skill learned elsewhere, or else of its neighbour.

    A pool of one skill with nothing to borrow from stays as it is.
    """
    own = list(pool.each())
    theirs = {skill.id: skill for other in others for skill in other.each() if skill.id not in pool}
    donors = [theirs[id] for id in sorted(theirs)] or own[1:] + own[:1]
    return SkillPool.of(
        (_with_steps_of(skill, donors[index % len(donors)]) for index, skill in enumerate(own)), pool.capacity
    )


def _with_steps_of(skill: Skill, donor: Skill) -> Skill:
    return Skill(
        name=skill.name,
        activation=skill.activation,
        procedure=donor.procedure,
        termination=skill.termination,
        parents=(skill.id,),
    )
