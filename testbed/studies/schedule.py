"""Meetings: which episodes a population plays in a round, and by which it is judged in the end.

In a game for several seats, consecutive episodes of a member are one encounter: the same environment seed and the
same company, the member in each seat once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from testbed.config.study import Arm, LearningConfig
from testbed.play.players import HeldMemory, Players
from testbed.play.seeds import environment_seed
from testbed.records.keys import LearnerKey, PopulationKey
from testbed.records.trial import EVIDENCE, BackgroundSeat, Trial
from transfer.memory.memory import Memory
from transfer.memory.pool import SkillPool

Schedule = dict[str, list[Trial]]
"""Episodes by focal member."""


def round_trials(players: Players, place: PopulationKey, round: int, roster: Mapping[str, HeldMemory]) -> Schedule:
    """Everybody's learning episodes of round `round` (from 1), each member on seeds of its own, the same in all arms.

    In a game for several, the other seats belong to other members in turn, or always to the task's opponent.
    """
    config, seats = players.config, players.tasks[place.task].seats
    count = config.learning.episodes
    met = -(-count // seats) * (round - 1)
    meets = config.population.against == "members"
    return {
        name: [
            Trial(
                phase="learn",
                arm=place.arm,
                agent=name,
                task=place.task,
                learning_run=place.learning_run,
                iteration=round,
                episode=episode,
                env_seed=environment_seed(
                    config.seed, "learn", place.task, place.learning_run, name, round, episode // seats
                ),
                seat=episode % seats,
                pool=kit.digest,
                selector=config.skills.selector,
                epsilon=epsilon(round - 1, config.learning),
                background=_guests(roster, name, seats, met + episode // seats) if meets else (),
            )
            for episode in range(count)
        ]
        for name, kit in roster.items()
    }


def evaluation_trials(players: Players, place: PopulationKey, roster: Mapping[str, HeldMemory]) -> Schedule:
    """Everybody with the pool it ends with, on seeds common to all members and arms, against the task's opponent."""
    return {name: _frozen(players, place, "evaluate", name, roster, meets=False) for name in roster}


def league_trials(players: Players, place: PopulationKey, roster: Mapping[str, HeldMemory]) -> Schedule:
    """Everybody against the others in turn, with frozen pools; nothing where the game has one seat."""
    if players.tasks[place.task].seats == 1 or len(roster) == 1:
        return {name: [] for name in roster}
    return {name: _frozen(players, place, "league", name, roster, meets=True) for name in roster}


def _frozen(
    players: Players,
    place: PopulationKey,
    phase: Literal["evaluate", "league"],
    name: str,
    roster: Mapping[str, HeldMemory],
    *,
    meets: bool,
) -> list[Trial]:
    config, seats, kit = players.config, players.tasks[place.task].seats, roster[name]
    return [
        Trial(
            phase=phase,
            arm=place.arm,
            agent=name,
            task=place.task,
            learning_run=place.learning_run,
            episode=episode,
            env_seed=players.evaluation_seed(place.task, place.learning_run, episode // seats),
            seat=episode % seats,
            pool=kit.digest,
            selector=config.skills.selector if kit.memory else "none",
            background=_guests(roster, name, seats, episode // seats) if meets else (),
        )
        for episode in range(config.evaluation_episodes)
    ]


def _guests(roster: Mapping[str, HeldMemory], name: str, seats: int, encounter: int) -> tuple[BackgroundSeat, ...]:
    """The next members after `name` in the roster, moving on by one company with every encounter."""
    names = list(roster)
    place = names.index(name)
    others = [*names[place + 1 :], *names[:place]]
    if not others:
        return ()
    chosen = (others[((seats - 1) * encounter + index) % len(others)] for index in range(seats - 1))
    return tuple(BackgroundSeat(agent=guest, pool=roster[guest].digest) for guest in chosen)


def learning_trials(
    players: Players, source: LearnerKey, iteration: int, memory: Memory | None, episodes: int | None = None
) -> list[Trial]:
    """The episodes of one iteration, on environment seeds never used to evaluate, the same for every memory.

    Without a memory they are those that all memories with shared experience learn from. Traces of several agents name
    the one who learns as their source.
    """
    config = players.config
    agents = [agent.name for agent in config.agents]
    mixes = {each.name: each.players(source.agent, agents) for each in config.memories if each.mixed}
    turns = mixes.get(source.memory, (source.agent,))
    return [
        Trial(
            phase="learn",
            arm="learn",
            agent=turns[episode % len(turns)],
            source_agent=source.agent if source.memory in mixes else None,
            task=source.task,
            learning_run=source.learning_run,
            iteration=iteration,
            episode=episode,
            env_seed=environment_seed(config.seed, "learn", source.task, source.learning_run, iteration, episode),
            seat=episode % players.tasks[source.task].seats,
            pool=None if memory is None else memory.digest,
            memory=None if memory is None else source.memory or None,
            **_manner(players, memory, iteration),
        )
        for episode in range(config.learning.episodes if episodes is None else episodes)
    ]


def evidence_trials(players: Players, agent: str, task: str, episodes: int) -> list[Trial]:
    """What an agent plays without any memory before it lets a given pool's skills in, on learning seeds; the same for
    every pool and, like its verdicts, for all learning runs."""
    return [
        Trial(
            phase="learn",
            arm=EVIDENCE,
            agent=agent,
            task=task,
            learning_run=0,
            episode=episode,
            env_seed=environment_seed(players.config.seed, "learn", task, 0, 0, episode),
            seat=episode % players.tasks[task].seats,
        )
        for episode in range(episodes)
    ]


def _manner(players: Players, memory: Memory | None, iteration: int) -> dict[str, Any]:
    """How skills are chosen while learning; other memories say themselves what they recall."""
    if not isinstance(memory, SkillPool):
        return {}
    return {"selector": players.config.skills.selector, "epsilon": epsilon(iteration, players.config.learning)}


def asked_trials(
    players: Players,
    source: LearnerKey,
    iteration: int,
    memory: Memory | None,
    env_seeds: Sequence[int],
    met: list[int],
    *,
    paired: bool = False,
) -> list[Trial]:
    """Further learning episodes that a learner asks for. `met`: the games of this iteration so far, in order.

    A game that is played again is played from the seat in which it was first met.
    """
    games = [*met, *env_seeds]
    return [
        Trial(
            phase="learn",
            arm="learn",
            agent=source.agent,
            task=source.task,
            learning_run=source.learning_run,
            iteration=iteration,
            episode=number,
            env_seed=games[number],
            seat=games.index(games[number]) % players.tasks[source.task].seats,
            pool=None if memory is None else memory.digest,
            memory=source.memory or None,
            attempt=games[:number].count(games[number]),
            paired=paired,
            **_manner(players, memory, iteration),
        )
        for number in range(len(met), len(games))
    ]


def epsilon(iteration: int, learning: LearningConfig) -> float:
    """ε falls linearly from its start in the first iteration to its end in the last (official code: .3 to .05)."""
    share = iteration / max(1, learning.iterations - 1)
    return round(learning.epsilon_start + (learning.epsilon_end - learning.epsilon_start) * share, 6)


class Cell(NamedTuple):
    """One cell of the matrix in one learning run: whose skills, in whose hands, where, chosen how."""

    arm: Arm
    agent: str
    task: str
    learning_run: int
    held: Memory | None
    selector: str
    source: LearnerKey | None = None
    memory: str | None = None
    """Name of the memory; None for the study's own pool."""


def cell_trials(players: Players, cell: Cell) -> list[Trial]:
    """A cell's episodes. Their environment seeds depend on the task and the learning run alone, so arms pair up."""
    config = players.config
    return [
        Trial(
            phase="evaluate",
            arm=cell.arm,
            agent=cell.agent,
            task=cell.task,
            learning_run=cell.learning_run,
            episode=episode,
            env_seed=players.evaluation_seed(cell.task, cell.learning_run, episode // config.epochs),
            seat=episode // config.epochs % players.tasks[cell.task].seats,
            pool=None if cell.held is None else cell.held.digest,
            selector=cell.selector,
            memory=cell.memory,
            source_agent=cell.source.agent if cell.source else None,
            source_task=cell.source.task if cell.source else None,
        )
        for episode in range(config.evaluation_episodes * config.epochs)
    ]
