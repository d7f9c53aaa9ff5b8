"""The study `matrix`: pools of every source, in the hands of every agent, on every task, beside the arms they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import anyio

from testbed.play.lab import Lab, first_cause
from testbed.records.keys import LearnerKey
from testbed.studies.learn import learn_all
from testbed.studies.schedule import Cell, cell_trials
from transfer.memory.learner import PoolLearner
from transfer.memory.control_pools import episodes_as_pool, shuffle_procedures
from transfer.memory.experience import Trajectory
from transfer.memory.pool import SkillPool


async def run_matrix(lab: Lab, learners: Mapping[str, PoolLearner], seed_pool: SkillPool) -> None:
    """Learn, then evaluate every cell on environment seeds common to all arms."""
    pools = await learn_all(lab, learners, seed_pool)
    open_cells = anyio.Semaphore(lab.players.config.concurrency)

    async def evaluate(cell: Cell) -> None:
        await lab.play(cell_trials(lab.players, cell), cell.pool)
        open_cells.release()

    try:
        async with anyio.create_task_group() as group:
            for cell in failed_first(lab, cells(lab, pools, seed_pool)):
                await open_cells.acquire()
                group.start_soon(evaluate, cell)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None


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


def cells(lab: Lab, pools: Mapping[LearnerKey, SkillPool], seed_pool: SkillPool) -> Iterator[Cell]:
    """Every cell of every arm the study asks for, in `statistics.md`'s sense."""
    config = lab.players.config
    arms, chosen = set(config.arms), config.skills.selector
    episodes = experience(lab) if "rag" in arms else {}
    for run in range(config.learning_runs):
        for agent in (agent.name for agent in config.agents):
            for task in lab.players.tasks:
                own = LearnerKey(agent, task, run)
                if "none" in arms:
                    yield Cell("none", agent, task, run, None, "none")
                if "seed" in arms:
                    yield Cell("seed", agent, task, run, seed_pool, chosen)
                if "self" in arms:
                    yield Cell("self", agent, task, run, pools[own], chosen, own)
                if "random" in arms:
                    yield Cell("random", agent, task, run, pools[own], "random", own)
                if own in episodes:
                    yield Cell("rag", agent, task, run, episodes_as_pool(episodes[own]), "similarity", own)
                if "shuffled" in arms:
                    others = [pools[source] for source in pools if source.learning_run == run and source.task != task]
                    yield Cell("shuffled", agent, task, run, shuffle_procedures(pools[own], others), chosen, own)
                if "transfer" in arms:
                    for source in pools:
                        if source.learning_run == run and source != own:
                            yield Cell("transfer", agent, task, run, pools[source], chosen, source)


def experience(lab: Lab) -> dict[LearnerKey, list[Trajectory]]:
    """What every source learned from, in the order it was planned."""
    found: dict[LearnerKey, list[tuple[int, int, Trajectory]]] = {}
    for episode in lab.run.episodes():
        trial = episode.trial
        if trial.phase == "learn" and episode.error is None:
            source = LearnerKey(trial.agent, trial.task, trial.learning_run)
            found.setdefault(source, []).append((trial.iteration, trial.episode, episode.trajectory))
    return {
        source: [each for *_, each in sorted(known, key=lambda place: place[:2])] for source, known in found.items()
    }
