"""Pools that came from elsewhere: every agent takes each in, on trust or by its own gate, and then plays with it.

What was taken in is committed like an iteration of a learner, so that it is judged once and its tokens are known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import anyio

from testbed.config.pool import PoolConfig
from testbed.config.study import Arm, ConfigError
from testbed.play.lab import Lab, first_cause
from testbed.play.learners import build_admission
from testbed.play.pools import given_pools
from testbed.records.keys import LearnerKey
from testbed.records.trial import EVIDENCE, Episode
from testbed.studies.learn import commit, finished, missing
from testbed.studies.schedule import Cell, evidence_trials
from transfer.exchange.admission import AdmissionCase
from transfer.gate.gate import Verdict
from transfer.maintenance.credit import RunningMean, usable
from transfer.memory.controls import RandomUnits, shuffle
from transfer.memory.events.contents import Admitted, Given
from transfer.memory.events.event import Event
from transfer.memory.events.evolution import Judged
from transfer.memory.events.line import SkillTexts
from transfer.memory.memory import Memory, UnitMemory
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState, MemoryState

_log = logging.getLogger(__name__)

Taken = Mapping[LearnerKey, Memory]
"""What an agent holds of a given pool (the key's memory) on a task; the key's learning run is always 0."""


async def take_in(lab: Lab) -> Taken:
    """Every given pool as every agent takes it in on every task. Raises ConfigError, or as `Lab.play` and gates do."""
    config = lab.players.config
    given = given_pools(config)
    _check_controls(config.pools, given)
    taken: dict[LearnerKey, Memory] = {key: memory for key, memory in _committed(lab).items() if key.memory in given}

    async def at(agent: str, task: str) -> None:
        keys = {pool: LearnerKey(agent, task, 0, pool.name) for pool in config.pools}
        due = {pool: key for pool, key in keys.items() if key not in taken}
        needed = max((pool.evidence for pool in due if pool.is_judged), default=0)
        played = await lab.play(evidence_trials(lab.players, agent, task, needed))
        for pool, key in due.items():
            seen = played[: pool.evidence] if pool.is_judged else ()
            with lab.step(EVIDENCE, pool.name):
                taken[key] = await _take(lab, pool, key, given[pool.name], seen)

    try:
        async with anyio.create_task_group() as group:
            for agent, task in product(config.agents, lab.players.tasks):
                group.start_soon(at, agent.name, task)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None
    return taken


def _check_controls(pools: Sequence[PoolConfig], given: Mapping[str, Memory]) -> None:
    """Raises ConfigError where shuffling changes nothing: the control would be the pool itself."""
    for pool in pools:
        memory = given[pool.name]
        if "shuffled" in pool.controls and shuffle(memory, _others(given, pool.name)).digest == memory.digest:
            raise ConfigError(
                f'pools.{pool.name}: controls: it has nobody\'s words to be shuffled with; leave "shuffled" out, or '
                "give another pool beside it"
            )


def _others(given: Mapping[str, Memory], name: str) -> list[Memory]:
    return [memory for other, memory in given.items() if other != name]


def _committed(lab: Lab) -> dict[LearnerKey, Memory]:
    pools: dict[str, Memory] = {key: stored.state.pool for key, stored in lab.run.learner_states().items()}
    others = {key: lab.run.memory(stored.memory) for key, stored in lab.run.memory_commits().items()}
    return {LearnerKey.of(key): memory for key, memory in (pools | others).items()}


async def _take(lab: Lab, pool: PoolConfig, key: LearnerKey, memory: Memory, evidence: Sequence[Episode]) -> Memory:
    """Judge each skill, commit those that were let in, and say so in events."""
    if not isinstance(memory, SkillPool):
        commit(lab, key, MemoryState(memory, iteration=1), [])
        return memory
    lost = missing(lab, key.key, evidence, 1)
    good = [trajectory for trajectory in finished(evidence) if usable(trajectory)]
    baselines = {key.task: RunningMean().update(None, [each.total for each in good])} if good else {}
    before = LearnerState(pool=SkillPool(capacity=memory.capacity), baselines=baselines)
    ids = tuple(trajectory.id for trajectory in good)
    cases = [AdmissionCase(key.agent, skill, before, ids, {}) for skill in memory.each()]
    verdicts = await lab.patiently(key.agent, partial(build_admission(lab, pool).judge, cases))
    accepted = [verdict.skill for verdict in verdicts if verdict.outcome == "accepted"]
    held = SkillPool.of((memory.get(skill) for skill in accepted), memory.capacity)
    after = LearnerState(pool=held, iteration=1, baselines=baselines, born=dict.fromkeys(held.ids, 1))
    commit(lab, key, after, [*lost, *_events(pool, memory, verdicts, ids)])
    if pool.is_judged:
        _log.info("%s: %d of %d skills let in by %s", key.key, len(held), len(memory), pool.admission)
    return held


def _events(
    pool: PoolConfig, memory: SkillPool, verdicts: Sequence[Verdict], evidence: tuple[str, ...]
) -> Iterator[Event]:
    for verdict in verdicts:
        skill = memory.get(verdict.skill)
        about: dict[str, Any] = {"iteration": 1, "skill": skill.id, "parents": skill.parents, "giver": pool.name}
        yield Given(**about, texts=SkillTexts.of(skill))
        if pool.is_judged:
            yield Judged(**about, trajectories=evidence, **verdict.fields)
        if verdict.outcome == "accepted":
            yield Admitted(**about, objective=verdict.objective, change=verdict.change)


def given_cells(lab: Lab, taken: Taken, runs: Sequence[int]) -> Iterator[Cell]:
    """Every given pool in every agent's hands on every task, beside its controls, on the environment seeds of these
    learning runs."""
    config = lab.players.config
    for pool, run, agent, task in product(config.pools, runs, config.agents, lab.players.tasks):
        place = {key.memory: memory for key, memory in taken.items() if key[:2] == (agent.name, task)}
        memory = place[pool.name]
        chosen = config.skills.selector if isinstance(memory, SkillPool) else "none"
        shown: dict[Arm, tuple[Memory, str]] = {
            "given": (memory, chosen),
            "random": (RandomUnits(memory) if isinstance(memory, UnitMemory) else memory, "random"),
            "shuffled": (shuffle(memory, _others(place, pool.name)), chosen),
        }
        for arm in ("given", *pool.controls):
            held, how = shown[arm]
            yield Cell(arm, agent.name, task, run, held, how, memory=pool.name)
