"""The study `learn`: Algorithm 1 of the paper, once for every (agent, task, learning run)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import anyio

from agents.selection import Value
from testbed.play.lab import Lab, first_cause
from testbed.records.keys import LearnerKey
from testbed.records.trial import Episode
from testbed.studies.schedule import learning_trials
from transfer.memory.learner import PoolLearner
from transfer.memory.events import EpisodesMissing, Event
from transfer.memory.experience import Trajectory
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

_log = logging.getLogger(__name__)


def sources(lab: Lab) -> list[LearnerKey]:
    """All independent learning runs of a study."""
    config = lab.players.config
    return [
        LearnerKey(agent.name, task, run)
        for run in range(config.learning_runs)
        for agent in config.agents
        for task in lab.players.tasks
    ]


async def learn_all(lab: Lab, learners: Mapping[str, PoolLearner], seed_pool: SkillPool) -> dict[LearnerKey, SkillPool]:
    """Learn every source's pool, concurrently; `learners` by agent. Raises as `Lab.play` does."""
    committed = lab.run.learner_states()
    pools: dict[LearnerKey, SkillPool] = {}

    async def one(source: LearnerKey) -> None:
        stored = committed.get(source.key)
        learner = learners[source.agent]
        state = learner.begin(seed_pool) if stored is None else stored.state
        pools[source] = await learn(lab, learner, source, state)

    try:
        async with anyio.create_task_group() as group:
            for source in sources(lab):
                group.start_soon(one, source)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None
    return {source: pools[source] for source in sources(lab)}


async def learn(lab: Lab, learner: PoolLearner, source: LearnerKey, state: LearnerState) -> SkillPool:
    """Play with the pool, learn from it, commit; from the iteration after `state` to the last.

    An iteration is committed when none of its episodes is owed; those that were lost stand in an event of it.
    """
    for iteration in range(state.iteration, lab.players.config.learning.iterations):
        episodes = await lab.play(
            learning_trials(lab.players, source, iteration, state.pool), state.pool, values_of(state)
        )
        lost = missing(lab, source.key, episodes, iteration + 1)
        state, events = await lab.patiently(
            source.agent, partial(learner.iterate, state, finished(episodes), lab.recall)
        )
        lab.run.commit(source.key, state, [*lost, *events], lab.players.tokens(source.agent, state.pool))
        _log.info("%s: iteration %d of %d committed", source.key, iteration + 1, lab.players.config.learning.iterations)
    return state.pool


def finished(episodes: Sequence[Episode]) -> list[Trajectory]:
    """The focal seats' trajectories; lost episodes are missing data."""
    return [episode.trajectory for episode in episodes if episode.error is None]


def missing(lab: Lab, who: str, episodes: Sequence[Episode], iteration: int) -> list[Event]:
    """The event that says what an iteration is committed without; none where all its episodes are there.

    Raises StudyStopped where that is too much.
    """
    reasons = Counter(episode.error for episode in episodes if episode.error is not None)
    if not reasons:
        return []
    lab.failures.check_iteration(who, reasons.total(), len(episodes))
    (why, _), *_ = reasons.most_common(1)
    return [EpisodesMissing(iteration=iteration, episodes=reasons.total(), of=len(episodes), why=why)]


def values_of(state: LearnerState) -> dict[str, Value]:
    """Online scores as the selectors read them."""
    return {skill: Value(score.value, score.n) for skill, score in state.scores.items()}
