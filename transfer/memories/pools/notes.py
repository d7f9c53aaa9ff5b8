"""`CueNotes`: a learner without a language model, for scripted agents: it writes down what paid, cue by cue.

With the scripted model "obedient", which looks its cues up in its skill, it makes populations whose learning and
contamination can be foreseen, at no cost: for dry runs, scale and tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.models.scripted import cue
from agents.skill import Skill
from transfer.maintenance.credit import BaselineRule, Credit, RunningMean, StepMean, observe
from transfer.memories.pools.rewriting import iterated, write_down
from transfer.memory.events.event import Event
from transfer.memory.experience import Recall, Step, Trajectory
from transfer.memory.learner import Play, unplayable
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

_ENTRY = re.compile(r"([\w-]+): (\[[^\[\]\n]+\])")


@dataclass(frozen=True)
class CueNotes:
    """Rewrites its most esteemed notes after each iteration: entries that paid come in, entries that did not go out."""

    credit: Credit = field(default_factory=StepMean)
    baseline: BaselineRule = field(default_factory=RunningMean)

    def begin(self, pool: SkillPool) -> LearnerState:
        return LearnerState.begin(pool)

    async def iterate(
        self, state: LearnerState, fresh: Sequence[Trajectory], recall: Recall, play: Play = unplayable
    ) -> tuple[LearnerState, list[Event]]:
        state, scored = observe(state, fresh, self.credit, self.baseline)
        events = [*state.seed_events(), *scored]
        parent = max(
            (skill for skill in state.pool.each() if entries(skill)),
            key=lambda skill: (state.value_estimate(skill.id), len(entries(skill)), skill.id),
            default=None,
        )
        before = entries(parent) if parent is not None else {}
        after = revised(before, [step for trajectory in fresh for step in trajectory.steps])
        pool = state.pool
        if after and after != before:
            evidence = tuple(trajectory.id for trajectory in fresh)
            pool, changes = write_down(state, written(after, parent), parent, evidence)
            events += changes
        return iterated(state, pool), events


def entries(skill: Skill) -> dict[str, str]:
    """What to do at which cue, as far as the skill says so in this learner's way."""
    return dict(_ENTRY.findall(skill.procedure))


def revised(known: Mapping[str, str], steps: Sequence[Step]) -> dict[str, str]:
    """The entries after these steps: what paid stands, what was tried as it stands and did not pay goes."""
    out = dict(known)
    for step in steps:
        shown = cue(step.observation)
        if shown and step.reward > 0:
            out[shown] = step.action
        elif shown and out.get(shown) == step.action:
            del out[shown]
    return dict(sorted(out.items()))


def written(entries_by_cue: Mapping[str, str], parent: Skill | None) -> Skill:
    """The entries as a skill."""
    return Skill(
        name="Notes",
        activation=f"A cue is shown that these notes know: {', '.join(entries_by_cue)}.",
        procedure=" ".join(f"{shown}: {action}." for shown, action in entries_by_cue.items()),
        termination="The game is over.",
        parents=(parent.id,) if parent is not None else (),
    )
