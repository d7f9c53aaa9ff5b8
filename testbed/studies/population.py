"""The study `population`: agents that live together, round after round: play, learn, exchange, commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import fsum, nan

import anyio

from agents.models.model import ModelError
from testbed.config.population import PolicyConfig
from testbed.play.lab import Lab, ModelGone, StudyStopped, first_cause
from testbed.play.models import build_learners, policy_parts
from testbed.play.players import Kit
from testbed.play.seeds import stream
from testbed.records.run_directory import Gathered, Told
from testbed.records.trial import Episode
from testbed.studies.learn import Source, values_of
from testbed.studies.schedule import Place, Schedule, evaluation_trials, league_trials, round_trials
from transfer.contamination.poison import planted
from transfer.exchange.exchange import Exchange, Terms
from transfer.exchange.population import Lesson, Played, Said, Society
from transfer.gate.advantage import StepBaseline
from transfer.gate.gate import PPOGate
from transfer.learner import Learner
from transfer.maintenance.intake import Upkeep
from transfer.memory.events import Event
from transfer.memory.experience import Trajectory
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState
from transfer.nppo.config import Choices, choose
from transfer.registry import maintenance, ppo_gate

Episodes = dict[str, list[Episode]]
"""Finished and failed episodes by focal member."""


async def run_population(lab: Lab, learners: Mapping[str, Learner], seed_pool: SkillPool) -> None:
    """Every population's rounds, then everybody's evaluation with the pools they end with.

    The learning run is the replicate: populations of one run and task meet the same environment seeds under every
    policy. A member whose model has stopped answering leaves, the others go on; otherwise raises as `Lab.play` does.
    """
    config = lab.cast.config
    gathered = lab.run.societies()

    async def one(place: Place, policy: PolicyConfig) -> None:
        own = _learners(lab, policy, learners)
        stored = gathered.get(place.key)
        society = stored.society if stored else Society.of({name: own[name].begin(seed_pool) for name in own})
        society = await live(lab, own, place, policy, society)
        await evaluate(lab, place, kits(society))

    try:
        async with anyio.create_task_group() as group:
            for run in range(config.learning_runs):
                for task in lab.cast.tasks:
                    for policy in config.population.policies:
                        group.start_soon(one, Place(policy.name, task, run), policy)
                    if "none" in config.arms:
                        unaided = partial(evaluation_trials, lab.cast, Place("none", task, run))
                        group.start_soon(play, lab, dict.fromkeys(config.members, Kit()), unaided)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None


async def live(
    lab: Lab, learners: Mapping[str, Learner], place: Place, policy: PolicyConfig, society: Society
) -> Society:
    """The rounds after `society.round`, each committed whole: play, learn, exchange. Learners by member."""
    config = lab.cast.config
    parts = policy_parts(policy)
    exchange = build_exchange(lab, policy)
    for round in range(society.round + 1, config.learning.iterations + 1):
        base, events = society, list[Said]()
        episodes, left = await play(lab, kits(society), partial(round_trials, lab.cast, place, round))
        society, said = bereft(society, left, round)
        events += said
        society, said = await learn(lab, learners, society, episodes)
        events += said
        if parts.poison is not None and round == policy.poison_round:
            bearer = policy.bearer or next(iter(society.members))
            society, said = planted(society, bearer, str(policy.poison), parts.poison, round)
            events += said
        society, said = await exchange.exchange(base, society, seen(lab, place, society, episodes, round))
        events += said
        society = society.model_copy(update={"round": round})
        commit(lab, place, base, society, events)
    return society


async def evaluate(lab: Lab, place: Place, roster: Mapping[str, Kit]) -> None:
    """Everybody with the pool it ends with, against the task's opponent; then, in a game for several, a league."""
    await play(lab, roster, partial(evaluation_trials, lab.cast, place))
    await play(lab, roster, partial(league_trials, lab.cast, place))


async def play(
    lab: Lab, roster: Mapping[str, Kit], arrange: Callable[[Mapping[str, Kit]], Schedule]
) -> tuple[Episodes, dict[str, str]]:
    """Everybody's episodes, and who had to leave because its model is gone, each with the reason.

    Whoever shares that model leaves, too; the games of the others are arranged anew, and what is stored stands.
    Raises StudyStopped when nobody is left, ModelGone when a model is gone that is no member's.
    """
    kinds = lab.cast.config.members
    for kit in roster.values():
        if kit.pool is not None:
            lab.run.keep(kit.pool)
    left: dict[str, str] = {}
    gone: ModelGone | None = None
    while remaining := {name: kit for name, kit in roster.items() if name not in left}:
        try:
            return await _at_once(lab, remaining, arrange(remaining)), left
        except ModelGone as error:
            if error.agent not in remaining:
                raise
            gone = error
            left |= {name: gone.reason for name in remaining if kinds[name] == kinds[gone.agent]}
    raise gone or StudyStopped("a population without members cannot play")


async def _at_once(lab: Lab, roster: Mapping[str, Kit], schedule: Schedule) -> Episodes:
    episodes: Episodes = {}

    async def one(name: str, kit: Kit) -> None:
        # A member that finished nothing because its model did not answer tries again, until it answers or is given up.
        while True:
            episodes[name] = await lab.play(schedule[name], kit.pool, kit.values, roster)
            if any(each.error is None for each in episodes[name]) or not lab.failing(name):
                return

    try:
        async with anyio.create_task_group() as group:
            for name, kit in roster.items():
                group.start_soon(one, name, kit)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None
    return {name: episodes[name] for name in roster}


def bereft(society: Society, left: Mapping[str, str], round: int) -> tuple[Society, list[Said]]:
    """The population without those who left."""
    members = {
        name: society.members[name].model_copy(update={"lost": f"round {round}: {why}"}) for name, why in left.items()
    }
    events = [Said(name, Event(kind="lost", iteration=round, payload={"why": why})) for name, why in left.items()]
    return society.replace(members), events


async def learn(
    lab: Lab, learners: Mapping[str, Learner], society: Society, episodes: Episodes
) -> tuple[Society, list[Said]]:
    """Everybody learns from its own seat, all at once. Whose learner fails keeps what it had, and says so."""
    fresh = {name: finished(episodes[name]) for name in society.playing}
    states: dict[str, LearnerState] = {}
    events: dict[str, list[Event]] = {}

    async def one(name: str, state: LearnerState) -> None:
        try:
            states[name], events[name] = await learners[name].iterate(state, fresh[name], lab.recall)
        except ModelError as error:
            now = state.iteration + 1
            states[name] = state.model_copy(update={"iteration": now})
            events[name] = [Event(kind="warning", iteration=now, payload={"why": f"nothing was learned: {error}"})]

    try:
        async with anyio.create_task_group() as group:
            for name, member in society.playing.items():
                group.start_soon(one, name, member.state)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None
    said = [Said(name, event) for name in society.playing for event in events[name]]
    lessons = {name: Lesson(states[name], tuple(each.id for each in fresh[name])) for name in society.playing}
    return society.grown(lessons), said


def seen(lab: Lab, place: Place, society: Society, episodes: Episodes, round: int) -> Played:
    """What the round showed. Its draws depend on the round alone, so that they are the same under every policy."""
    own = {name: finished(episodes[name]) for name in society.playing}
    merits = {name: fsum(each.total for each in part) / len(part) if part else nan for name, part in own.items()}
    rng = stream(lab.cast.config.seed, "exchange", place.task, place.learning_run, round)
    return Played(round, merits, rng)


def finished(episodes: Sequence[Episode]) -> list[Trajectory]:
    """The focal seats' trajectories; failed episodes are missing data."""
    return [episode.trajectory for episode in episodes if episode.error is None]


def commit(lab: Lab, place: Place, base: Society, society: Society, said: Sequence[Said]) -> None:
    """Write the round: new pools, everybody's events, and the whole society."""
    tokens: dict[str, int] = {}
    for name, member in society.members.items():
        pool = member.state.pool
        if society.round == 1 or pool.digest != base.members[name].state.pool.digest:
            lab.run.keep(pool)
            tokens = lab.cast.tokens(name, pool) | tokens
    told = [
        Told(
            population=place.key,
            learner=Source(name, place.task, place.learning_run).key,
            **dict(event),
        )
        for name, event in said
    ]
    gathered = Gathered(population=place.key, committed=society.round, society=society, tokens=tokens)
    lab.run.gather(told, gathered)


def kits(society: Society) -> dict[str, Kit]:
    """What everybody that still plays brings to its seat."""
    return {name: Kit(member.state.pool, values_of(member.state)) for name, member in society.playing.items()}


def build_exchange(lab: Lab, policy: PolicyConfig) -> Exchange:
    """Raises ConfigError for a name that stands for nothing, ChoiceError for a choice that does not exist."""
    parts, choices = policy_parts(policy), _choices(lab, policy)
    gates = {name: _gate(lab, kind, choices) for name, kind in lab.cast.config.members.items()}
    terms = Terms(
        rate=policy.rate,
        every=policy.every,
        direction=policy.direction,
        capacity=policy.capacity,
        patience=policy.patience,
        hub=policy.hub,
        size=policy.size,
        graph=policy.graph,
    )
    upkeep = Upkeep(maintenance(choices), lab.cast.embedder)
    admission = parts.admission(gates, lab.recall, StepBaseline(choices.gamma))
    return parts.exchange(terms, admission, upkeep)


def _choices(lab: Lab, policy: PolicyConfig) -> Choices:
    """The policy's choices. A gift must improve on what its receiver does anyway (ΔJ > 0), unless they say not."""
    learning = lab.cast.config.learning
    chosen = {"acceptance": "improvement", **learning.choices, **policy.choices, "maintenance": policy.maintenance}
    return choose(learning.preset, chosen)


def _gate(lab: Lab, kind: str, choices: Choices) -> PPOGate:
    """The gate of one kind of agent: its own model, at its own temperature."""
    temperature = next(agent.temperature for agent in lab.cast.config.agents if agent.name == kind)
    return ppo_gate((lab.cast.models[kind],), temperature, choices)


def _learners(lab: Lab, policy: PolicyConfig, learners: Mapping[str, Learner]) -> dict[str, Learner]:
    """A learner per member: the study's, unless the policy asks for another."""
    config = lab.cast.config
    choices = {**config.learning.choices, **policy.choices}
    if policy.maintenance != "always":
        choices["maintenance"] = policy.maintenance
    if policy.learner or choices != config.learning.choices:
        changed = {"learner": policy.learner or config.learning.learner, "choices": choices}
        learning = config.learning.model_copy(update=changed)
        learners = build_learners(config.model_copy(update={"learning": learning}), lab.cast)
    return {name: learners[kind] for name, kind in config.members.items()}
