"""The study `population`: agents that live together, round after round: play, learn, exchange, commit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from math import fsum, nan

import anyio

from agents.models.model import ModelError
from testbed.config.population import PolicyConfig
from testbed.play.course.failures import ModelGone, StudyStopped
from testbed.play.lab import Lab, first_cause
from testbed.play.learners import build_exchange, policy_learners, policy_parts
from testbed.play.players import HeldMemory
from testbed.play.seeds import stream
from testbed.records.keys import LearnerKey, PopulationKey
from testbed.records.lines import MemberEventLine, RoundCommit
from testbed.records.trial import Episode
from testbed.studies.learn import finished, missing, values_of
from testbed.studies.outcome.shortfall import NOTHING_LEARNED
from testbed.studies.schedule import Schedule, evaluation_trials, league_trials, round_trials
from transfer.contamination.poison import plant
from transfer.exchange.exchange import Exchange
from transfer.exchange.population import MemberEvent, MemberUpdate, Population, RoundOutcome
from transfer.memory.events.course import MemberLost, Warned
from transfer.memory.events.event import Event
from transfer.memory.learner import PoolLearner
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

_log = logging.getLogger(__name__)

Episodes = dict[str, list[Episode]]
"""Finished and failed episodes by focal member."""


async def run_population(lab: Lab, learners: Mapping[str, PoolLearner], seed_pool: SkillPool) -> None:
    """Every population's rounds, then everybody's evaluation with the pools they end with.

    The learning run is the replicate: populations of one run and task meet the same environment seeds under every
    policy. Raises as `Lab.play` does, ModelGone only where the study does not say that members leave (`on_outage`).
    """
    config = lab.players.config
    commits = lab.run.populations()

    async def one(place: PopulationKey, policy: PolicyConfig) -> None:
        own = policy_learners(lab, policy, learners)
        stored = commits.get(place.key)
        population = stored.society if stored else Population.of({name: own[name].begin(seed_pool) for name in own})
        population = await live(lab, own, place, policy, population)
        await evaluate(lab, place, kits(population))

    try:
        async with anyio.create_task_group() as group:
            for run in range(config.learning_runs):
                for task in lab.players.tasks:
                    for policy in config.population.policies:
                        group.start_soon(one, PopulationKey(policy.name, task, run), policy)
                    if "none" in config.arms:
                        unaided = partial(evaluation_trials, lab.players, PopulationKey("none", task, run))
                        group.start_soon(play, lab, dict.fromkeys(config.members, HeldMemory()), unaided)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None


async def live(
    lab: Lab, learners: Mapping[str, PoolLearner], place: PopulationKey, policy: PolicyConfig, population: Population
) -> Population:
    """The rounds after `population.round`, each committed whole: play, learn, exchange. Learners by member.

    Whole: no episode is owed, and every learner and gate has answered. What was lost stands in an event of the round.
    """
    config = lab.players.config
    parts = policy_parts(policy)
    exchange = build_exchange(lab, policy)
    for round in range(population.round + 1, config.learning.iterations + 1):
        base, events = population, list[MemberEvent]()
        episodes, left = await play(lab, kits(population), partial(round_trials, lab.players, place, round))
        population, happened = remove_lost_members(population, left, round)
        events += happened
        with lab.step(place.arm):
            population, happened = await learn(lab, learners, population, episodes)
            events += happened
            if parts.poison is not None and round == policy.poison_round:
                bearer = policy.bearer or next(iter(population.members))
                population, happened = plant(population, bearer, str(policy.poison), parts.poison, round)
                events += happened
            population, happened = await trade(
                lab, exchange, base, population, partial(round_outcome, lab, place, episodes, round)
            )
            events += happened
            population = population.model_copy(update={"round": round})
            commit(lab, place, base, population, events)
        _log.info("%s: round %d of %d committed", place.key, round, config.learning.iterations)
    return population


async def evaluate(lab: Lab, place: PopulationKey, roster: Mapping[str, HeldMemory]) -> None:
    """Everybody with the pool it ends with, against the task's opponent; then, in a game for several, a league."""
    await play(lab, roster, partial(evaluation_trials, lab.players, place))
    await play(lab, roster, partial(league_trials, lab.players, place))


async def play(
    lab: Lab, roster: Mapping[str, HeldMemory], arrange: Callable[[Mapping[str, HeldMemory]], Schedule]
) -> tuple[Episodes, dict[str, str]]:
    """Everybody's episodes, and who had to leave because its model is gone, each with the reason.

    The games of the others are arranged anew, and what is stored stands. Raises StudyStopped when nobody is left,
    ModelGone when a model is gone that is no member's, or the study waits for its members (`on_outage`).
    """
    for kit in roster.values():
        if kit.memory is not None:
            lab.run.keep(kit.memory)
    left: dict[str, str] = {}
    gone: ModelGone | None = None
    while remaining := {name: kit for name, kit in roster.items() if name not in left}:
        try:
            return await _at_once(lab, remaining, arrange(remaining)), left
        except ModelGone as error:
            left |= leaving(lab, error, remaining)
            gone = error
    raise gone or StudyStopped("a population without members cannot play")


def leaving(lab: Lab, gone: ModelGone, members: Collection[str]) -> dict[str, str]:
    """Who leaves because that model is gone, each with the reason: all who share it.

    Raises `gone` where it is no member's, or the study says that members are waited for.
    """
    kinds = lab.players.config.members
    if lab.players.config.population.on_outage != "leave" or gone.agent not in members:
        raise gone
    return {name: gone.reason for name in members if kinds[name] == kinds[gone.agent]}


async def _at_once(lab: Lab, roster: Mapping[str, HeldMemory], schedule: Schedule) -> Episodes:
    episodes: Episodes = {}

    async def one(name: str, kit: HeldMemory) -> None:
        episodes[name] = await lab.play(schedule[name], kit, roster)

    try:
        async with anyio.create_task_group() as group:
            for name, kit in roster.items():
                group.start_soon(one, name, kit)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None
    return {name: episodes[name] for name in roster}


def remove_lost_members(
    population: Population, left: Mapping[str, str], round: int
) -> tuple[Population, list[MemberEvent]]:
    """The population without those who left."""
    members = {
        name: population.members[name].model_copy(update={"lost": f"round {round}: {why}"})
        for name, why in left.items()
    }
    events = [MemberEvent(name, MemberLost(iteration=round, why=why)) for name, why in left.items()]
    return population.replace(members), events


async def learn(
    lab: Lab, learners: Mapping[str, PoolLearner], population: Population, episodes: Episodes
) -> tuple[Population, list[MemberEvent]]:
    """Everybody learns from its own seat, all at once. Whose learner fails keeps what it had, and says so.

    A learner whose model does not answer is waited for, unless its member would leave for that. Raises ModelGone.
    """
    now = population.round + 1
    fresh = {name: finished(episodes[name]) for name in population.playing}
    states: dict[str, LearnerState] = {}
    events: dict[str, list[Event]] = {}

    async def one(name: str, state: LearnerState) -> None:
        lost = missing(lab, name, episodes[name], now)
        try:
            iterate = partial(learners[name].iterate, state, fresh[name], lab.recall)
            states[name], events[name] = await lab.patiently(name, iterate)
        except (ModelError, ModelGone) as error:
            if isinstance(error, ModelGone):
                leaving(lab, error, population.playing)
            states[name] = state.model_copy(update={"iteration": now})
            why = f"{NOTHING_LEARNED}: {error.reason if isinstance(error, ModelGone) else error}"
            events[name] = [Warned(iteration=now, why=why)]
        events[name] = [*lost, *events[name]]

    try:
        async with anyio.create_task_group() as group:
            for name, member in population.playing.items():
                group.start_soon(one, name, member.state)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None
    happened = [MemberEvent(name, event) for name in population.playing for event in events[name]]
    lessons = {name: MemberUpdate(states[name], tuple(each.id for each in fresh[name])) for name in population.playing}
    return population.grown(lessons), happened


async def trade(
    lab: Lab, exchange: Exchange, base: Population, population: Population, show: Callable[[Population], RoundOutcome]
) -> tuple[Population, list[MemberEvent]]:
    """The population after the exchange, and what happened; `show` tells what the round showed of its members.

    Whose gate cannot be asked is waited for, or leaves before the exchange. Raises ModelGone.
    """
    events = list[MemberEvent]()
    while True:
        try:
            give = partial(exchange.exchange, base, population, show(population))
            after, happened = await lab.patiently("exchange", give, population.playing)
        except ModelGone as gone:
            population, happened = remove_lost_members(
                population, leaving(lab, gone, population.playing), base.round + 1
            )
            events += happened
        else:
            return after, [*events, *happened]


def round_outcome(
    lab: Lab, place: PopulationKey, episodes: Episodes, round: int, population: Population
) -> RoundOutcome:
    """What the round showed. Its draws depend on the round alone, so that they are the same under every policy."""
    own = {name: finished(episodes[name]) for name in population.playing}
    merits = {name: fsum(each.total for each in part) / len(part) if part else nan for name, part in own.items()}
    rng = stream(lab.players.config.seed, "exchange", place.task, place.learning_run, round)
    return RoundOutcome(round, merits, rng)


def commit(
    lab: Lab, place: PopulationKey, base: Population, population: Population, happened: Sequence[MemberEvent]
) -> None:
    """Write the round: new pools, everybody's events, and the whole population."""
    tokens: dict[str, int] = {}
    for name, member in population.members.items():
        pool = member.state.pool
        if population.round == 1 or pool.digest != base.members[name].state.pool.digest:
            lab.run.keep(pool)
            tokens = lab.players.tokens(name, pool) | tokens
    lines = [
        MemberEventLine(
            population=place.key,
            learner=LearnerKey(name, place.task, place.learning_run).key,
            event=event,
        )
        for name, event in happened
    ]
    last = RoundCommit(population=place.key, committed=population.round, society=population, tokens=tokens)
    lab.run.commit_round(lines, last)


def kits(population: Population) -> dict[str, HeldMemory]:
    """What everybody that still plays brings to its seat."""
    return {name: HeldMemory(member.state.pool, values_of(member.state)) for name, member in population.playing.items()}
