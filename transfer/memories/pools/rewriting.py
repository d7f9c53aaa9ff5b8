"""How learners without a language model note a skill: in place of its parent, or of the least where all is full."""

from __future__ import annotations

from typing import Any

from agents.skill import Skill
from transfer.memory.events.contents import Admitted, Pruned
from transfer.memory.events.event import Event
from transfer.memory.events.evolution import Proposed
from transfer.memory.events.line import SkillTexts
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState


def write_down(
    state: LearnerState, skill: Skill, parent: Skill | None, evidence: tuple[str, ...]
) -> tuple[SkillPool, list[Event]]:
    """The pool with the skill in it, and what that was; `evidence` are the ids of the trajectories it was made from."""
    now, pool, events = state.iteration + 1, state.pool, list[Event]()
    if parent is not None:
        pool = pool.remove(parent.id)
        events.append(Pruned(iteration=now, skill=parent.id, parents=parent.parents, why="rewritten"))
    elif len(pool) == pool.capacity:
        least = pool.get(min(pool.ids, key=lambda id: (state.value_estimate(id), id)))
        pool = pool.remove(least.id)
        why = "made room for the first notes"
        events.append(Pruned(iteration=now, skill=least.id, parents=least.parents, why=why))
    mode = "REFINE" if parent else "DISCOVER"
    about: dict[str, Any] = {
        "iteration": now,
        "skill": skill.id,
        "parents": skill.parents,
        "trajectories": evidence,
    }
    events.append(Proposed(**about, mode=mode, texts=SkillTexts.of(skill)))
    events.append(Admitted(**about, mode=mode))
    return pool.add(skill), events


def iterated(state: LearnerState, pool: SkillPool) -> LearnerState:
    """After an iteration that ended with this pool."""
    now = state.iteration + 1
    born = {id: state.born.get(id, now) for id in pool.ids}
    return state.model_copy(update={"pool": pool, "iteration": now, "born": born, "buffer": {}})
