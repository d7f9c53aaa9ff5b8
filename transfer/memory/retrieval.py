"""Retrieval: past episodes as they were in the place of skills, the baseline that skills must beat for their tokens."""

from __future__ import annotations

from collections.abc import Sequence

from agents.skill import Skill
from transfer.memory.experience import Trajectory
from transfer.memory.pool import SkillPool

LONGEST = 4000
"""Characters of an episode that are remembered, its end before its beginning."""


def remembered(trajectories: Sequence[Trajectory]) -> SkillPool:
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
