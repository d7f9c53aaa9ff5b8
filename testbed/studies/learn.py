"""The study `learn`: Algorithm 1 of the paper, once for every (agent, task, learning run)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import anyio

from agents.models.adapters.metered import Account, account, no_account
from agents.selection import Value
from testbed.config.plugins import resolve
from testbed.play.lab import Lab, first_cause
from testbed.play.players import HeldMemory
from testbed.records.keys import LearnerKey
from testbed.records.lines import MemoryCommit, UnitRecord
from testbed.records.trial import Episode
from testbed.studies.schedule import asked_trials, learning_trials
from transfer.memories.lessons import whole
from transfer.memory.events.course import EpisodesMissing, Spent
from transfer.memory.events.event import Event
from transfer.memory.experience import Trajectory, recalled
from transfer.memory.learner import AnyLearner, LearningState
from transfer.memory.memory import Memory
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState, MemoryState

_log = logging.getLogger(__name__)


def sources(lab: Lab, runs: Iterable[int] | None = None) -> list[LearnerKey]:
    """All independent learning runs of a study, or those of `runs`: of its pool first, then of each other memory."""
    config = lab.players.config
    return [
        LearnerKey(agent.name, task, run, memory)
        for memory in ("", *(memory.name for memory in config.memories))
        for run in (range(config.learning_runs) if runs is None else runs)
        for agent in config.agents
        for task in lab.players.tasks
    ]


async def learn_all(
    lab: Lab, learners: Mapping[str, AnyLearner], seed_pool: SkillPool, runs: Sequence[int] | None = None
) -> dict[LearnerKey, Memory]:
    """Learn every source's memory, of all learning runs or of `runs`, concurrently; `learners` as `LearnerKey.who`.

    Raises as `Lab.play` does.
    """
    committed: dict[str, LearningState] = {key: stored.state for key, stored in lab.run.learner_states().items()}
    committed |= {key: _state(lab, stored) for key, stored in lab.run.memory_commits().items()}
    memories: dict[LearnerKey, Memory] = {}

    async def one(source: LearnerKey) -> None:
        learner = learners[source.who]
        memories[source] = await learn(lab, learner, source, committed.get(source.key) or learner.begin(seed_pool))

    try:
        async with anyio.create_task_group() as group:
            for source in sources(lab, runs):
                group.start_soon(one, source)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None
    return {source: memories[source] for source in sources(lab, runs)}


async def learn(lab: Lab, learner: AnyLearner, source: LearnerKey, state: LearningState) -> Memory:
    """Play with the memory, learn from it, commit; from the iteration after `state` to the last.

    An iteration is committed when none of its episodes is owed; those that were lost stand in an event of it.
    Every memory's budget is as many episodes: those that its learner asks for beside are taken off the last iterations.
    """
    plan = lab.players.config.learning
    shared = {memory.name for memory in lab.players.config.memories if memory.experience == "shared"}
    for iteration in range(state.iteration, plan.iterations):
        left = (plan.iterations - iteration) * plan.episodes - state.extra
        if left <= 0:
            break
        memory = None if source.memory in shared else state.memory
        trials = learning_trials(lab.players, source, iteration, memory, min(left, plan.episodes))
        episodes = await lab.play(trials, HeldMemory(memory, values_of(state)))
        lost = missing(lab, source.key, episodes, iteration + 1)
        allowance = 0 if source.memory in shared else left - len(trials)
        step = Iteration(lab, source, [trial.env_seed for trial in trials], iteration, allowance)
        with lab.step("learn", source.memory):
            state, events = await lab.patiently(source.agent, partial(step.iterate, learner, state, finished(episodes)))
            commit(lab, source, state, [*lost, *events])
        _log.info("%s: iteration %d of %d committed", source.key, iteration + 1, plan.iterations)
    return state.memory


@dataclass(frozen=True)
class Iteration:
    """One iteration of a learner, with the further episodes that it may ask for and the account of what it costs."""

    lab: Lab
    source: LearnerKey
    met: Sequence[int]
    """The games of this iteration so far."""
    iteration: int
    allowance: int
    """Episodes."""

    async def iterate(
        self, learner: AnyLearner, state: LearningState, fresh: Sequence[Trajectory]
    ) -> tuple[LearningState, list[Event]]:
        """As `Learner.iterate`, with an event that says what was asked of models, where anything was."""
        met, allowance = list(self.met), self.allowance

        async def play(memory: Memory | None, env_seeds: Sequence[int], /, *, paired: bool = False) -> list[Trajectory]:
            nonlocal allowance
            games = env_seeds[:allowance]
            trials = asked_trials(self.lab.players, self.source, self.iteration, memory, games, met, paired=paired)
            met.extend(games)
            allowance -= len(games)
            with no_account():
                return finished(await self.lab.play(trials, HeldMemory(memory)))

        with account() as spent:
            state, events = await learner.iterate(state, fresh, self.lab.recall, play)
        return state, [*events, *_spent(state.iteration, spent)]


def _spent(iteration: int, account: Account) -> list[Event]:
    """Nothing where nothing was asked."""
    if not (account.calls or account.scored):
        return []
    return [
        Spent(
            iteration=iteration,
            calls=account.calls,
            prompt_tokens=account.prompt_tokens,
            completion_tokens=account.completion_tokens,
            scored=account.scored,
        )
    ]


def commit(lab: Lab, source: LearnerKey, state: LearningState, events: Sequence[Event]) -> None:
    """Store an iteration of a pool's learner, or of another memory's. Raises StoreError."""
    tokens = lab.players.tokens(source.agent, state.memory)
    if isinstance(state, LearnerState):
        lab.run.commit(source.key, state, events, tokens)
    elif isinstance(state, MemoryState):
        units = [
            UnitRecord(id=unit.id, kind=unit.kind, name=unit.name, parents=unit.parents, tokens=tokens[unit.id])
            for unit in state.memory.units
        ]
        kept = [whole(trajectory) for trajectory in recalled(state.memory.archive, lab.recall)]
        line = MemoryCommit(
            learner=source.key,
            committed=state.iteration,
            memory=state.memory.digest,
            extra=state.extra,
            baselines=state.baselines,
            returns=state.returns,
            units=tuple(units),
            archive=len(kept),
            archive_tokens=sum(map(lab.players.models[source.agent].count, kept)),
        )
        lab.run.commit_memory(state.memory, events, line)


def _state(lab: Lab, stored: MemoryCommit) -> MemoryState:
    """Raises PoolError where the memory's file is not there or was changed."""
    return MemoryState(
        memory=lab.run.memory(stored.memory, resolve),  # a study has leave to what it names
        iteration=stored.committed,
        extra=stored.extra,
        baselines=stored.baselines,
        returns=stored.returns,
    )


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


def values_of(state: LearningState) -> dict[str, Value]:
    """Online scores as the selectors read them; of skills alone."""
    if not isinstance(state, LearnerState):
        return {}
    return {skill: Value(score.value, score.n) for skill, score in state.scores.items()}
