"""The study `matrix`: pools of every source, in the hands of every agent, on every task, beside the arms they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import anyio

from testbed.config.study import Arm
from testbed.play.lab import Lab, first_cause
from testbed.play.players import HeldMemory
from testbed.records.keys import LearnerKey
from testbed.studies.given import given_cells, take_in
from testbed.studies.learn import learn_all
from testbed.studies.schedule import Cell, cell_trials
from transfer.memory.controls import RandomUnits, episodes_as_pool, shuffle, shuffle_procedures
from transfer.memory.experience import Trajectory
from transfer.memory.learner import AnyLearner
from transfer.memory.memory import Memory, UnitMemory
from transfer.memory.pool import SkillPool


async def run_matrix(lab: Lab, learners: Mapping[str, AnyLearner], seed_pool: SkillPool) -> None:
    """Learn, then evaluate every cell on environment seeds common to all arms."""
    given = await take_in(lab)
    memories = await learn_all(lab, learners, seed_pool)
    runs = range(lab.players.config.learning_runs)
    await evaluate_all(lab, chain(cells(lab, memories, seed_pool), given_cells(lab, given, runs)))


async def evaluate_all(lab: Lab, every: Iterable[Cell]) -> None:
    """Play all cells, many at a time. Raises as `Lab.play` does."""
    open_cells = anyio.Semaphore(lab.players.config.concurrency)

    async def evaluate(cell: Cell) -> None:
        await lab.evaluate(cell_trials(lab.players, cell), HeldMemory(cell.held))
        open_cells.release()

    try:
        async with anyio.create_task_group() as group:
            for cell in by_turns(lab, failed_first(lab, every)):
                await open_cells.acquire()
                group.start_soon(evaluate, cell)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None


def by_turns(lab: Lab, every: Iterable[Cell]) -> Iterable[Cell]:
    """The cells; those of models that take turns one model after the other."""
    queues = {agent.name: lab.players.queue(agent.name) for agent in lab.players.config.agents}
    return sorted(every, key=lambda cell: queues[cell.agent]) if any(queues.values()) else every


def failed_first(lab: Lab, every: Iterable[Cell]) -> Iterator[Cell]:
    """The cells, but those first of which an episode failed when the study was run before."""
    standing = set(lab.failures.standing)
    later: list[Cell] = []
    for cell in every:
        if standing and standing.isdisjoint(trial.id for trial in cell_trials(lab.players, cell)):
            later.append(cell)
        else:
            yield cell
    yield from later


def cells(lab: Lab, memories: Mapping[LearnerKey, Memory], seed_pool: SkillPool) -> Iterator[Cell]:
    """Every cell of every arm the study asks for: of its pool, then of each other memory."""
    pools = {key: memory for key, memory in memories.items() if not key.memory and isinstance(memory, SkillPool)}
    yield from pool_cells(lab, pools, seed_pool)
    for memory in lab.players.config.memories:
        yield from memory_cells(
            lab, memory.name, {key: each for key, each in memories.items() if key.memory == memory.name}
        )


def memory_cells(lab: Lab, name: str, memories: Mapping[LearnerKey, Memory]) -> Iterator[Cell]:
    """The cells of one memory, in every arm that needs one."""
    arms = set(lab.players.config.arms)
    for own, memory in memories.items():
        peers = {key: each for key, each in memories.items() if key.learning_run == own.learning_run}
        chosen = lab.players.config.skills.selector if isinstance(memory, SkillPool) else "none"
        shown: dict[Arm, Memory] = {
            "self": memory,
            "matched": memory,
            "random": RandomUnits(memory) if isinstance(memory, UnitMemory) else memory,
            "shuffled": shuffle(memory, [each for key, each in peers.items() if key.task != own.task]),
        }
        for arm, held in shown.items():
            if arm in arms:
                how = "random" if arm == "random" else chosen
                yield Cell(arm, own.agent, own.task, own.learning_run, held, how, own, name)
        if "transfer" in arms:
            for source, held in peers.items():
                if source != own:
                    yield Cell("transfer", own.agent, own.task, own.learning_run, held, chosen, source, name)


def pool_cells(lab: Lab, pools: Mapping[LearnerKey, SkillPool], seed_pool: SkillPool) -> Iterator[Cell]:
    """The cells of the study's own pool, and those without any memory."""
    config = lab.players.config
    arms, chosen = set(config.arms), config.skills.selector
    episodes = experience(lab) if "rag" in arms else {}
    for own in pools:
        agent, task, run, _ = own
        elsewhere = [source for source in pools if source.learning_run == run and source != own]
        shown: dict[Arm, Cell] = {
            "none": Cell("none", agent, task, run, None, "none"),
            "seed": Cell("seed", agent, task, run, seed_pool, chosen),
            "self": Cell("self", agent, task, run, pools[own], chosen, own),
            "matched": Cell("matched", agent, task, run, pools[own], chosen, own),
            "random": Cell("random", agent, task, run, pools[own], "random", own),
        }
        yield from (cell for arm, cell in shown.items() if arm in arms)
        if own in episodes:
            yield Cell("rag", agent, task, run, episodes_as_pool(episodes[own]), "similarity", own)
        if "shuffled" in arms:
            others = [pools[source] for source in elsewhere if source.task != task]
            yield Cell("shuffled", agent, task, run, shuffle_procedures(pools[own], others), chosen, own)
        if "transfer" in arms:
            for source in elsewhere:
                yield Cell("transfer", agent, task, run, pools[source], chosen, source)


def experience(lab: Lab) -> dict[LearnerKey, list[Trajectory]]:
    """What every source learned from, in the order it was planned."""
    found: dict[LearnerKey, list[tuple[int, int, Trajectory]]] = {}
    for episode in lab.run.episodes():
        trial = episode.trial
        if trial.phase == "learn" and trial.pool is not None and trial.memory is None and episode.error is None:
            source = LearnerKey(trial.agent, trial.task, trial.learning_run)
            found.setdefault(source, []).append((trial.iteration, trial.episode, episode.trajectory))
    return {
        source: [each for *_, each in sorted(known, key=lambda place: place[:2])] for source, known in found.items()
    }
