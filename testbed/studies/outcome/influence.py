"""How much what memories showed has changed the likelihood of what was done, of all evaluated episodes of a run."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import anyio

from agents.models.adapters.metered import Metered
from agents.models.model import (
    Model,
    ModelError,
    ModelMisconfigured,
    ModelUnavailable,
    NoLikelihoods,
)
from agents.models.served.probe import ServerProbe
from testbed.config.plugins import resolve
from testbed.config.study import ConfigError
from testbed.play.course.pace import INFLUENCE
from testbed.play.lab import Lab, first_cause
from testbed.records.side_files.influence import InfluenceLine, finite, influence_lines, recorded_error
from testbed.records.trial import Episode
from transfer.gate.influence import Exposures, exposures
from transfer.gate.replay import ActingPolicy

STEPS = 64
"""Exposed steps that are scored in one call, about: their prompts share their beginnings."""

_log = logging.getLogger(__name__)


class Cell(NamedTuple):
    """Episodes of one agent with one memory, on one task and in one learning run."""

    agent: str
    task: str
    learning_run: int
    arm: str
    memory: str
    pool: str


Exposed = tuple[Episode, Exposures]


async def measure_influence(lab: Lab) -> None:
    """Measure whatever is not measured yet. Raises BudgetSpent between two cells, as `Lab.play` does otherwise."""
    cells = _cells(lab)
    done = {line.trial for line in influence_lines(lab.run.path)}

    async def of(agent: str) -> None:
        for cell, places in cells[agent].items():
            if not lab.budget.may_begin:
                await lab.budget.end()
            await lab.patiently(INFLUENCE, partial(_measure, lab, cell, places, done), [agent])

    try:
        async with anyio.create_task_group() as group:
            for agent in cells:
                group.start_soon(of, agent)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None


def require_likelihoods(probes: Mapping[str, ServerProbe]) -> None:
    """Before anything is played. Raises ConfigError where a server tells no likelihoods."""
    for agent, found in probes.items():
        if not found.likelihoods:
            raise ConfigError(
                f"influence: the server of agent {agent} tells no likelihoods; serve it with vLLM, or leave the key out"
            )


def _cells(lab: Lab) -> Mapping[str, Mapping[Cell, list[int]]]:
    """Places of all evaluated episodes that had a memory, by agent and cell."""
    found: defaultdict[str, defaultdict[Cell, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, episode in lab.run.outlines():
        trial = episode.trial
        if trial.phase == "evaluate" and trial.pool is not None and episode.error is None:
            cell = Cell(trial.agent, trial.task, trial.learning_run, trial.arm, trial.memory or "", trial.pool)
            found[trial.agent][cell].append(place)
    return found


async def _measure(lab: Lab, cell: Cell, places: Sequence[int], done: set[str]) -> None:
    """Store what is not among `done`, and add it to them. Raises ModelUnavailable, with a note that names the agent."""
    (agent,) = (agent for agent in lab.players.config.agents if agent.name == cell.agent)
    model = Metered(lab.players.models[cell.agent], cell.agent, "influence")
    memory, voice = lab.run.memory(cell.pool, resolve), ActingPolicy(agent.temperature)
    episodes = (lab.run.episode(place) for place in places)
    owed = ((each, exposures(each.trajectory, memory, voice)) for each in episodes if each.trial.id not in done)
    with lab.step(cell.arm, cell.memory):
        for batch in _batches(each for each in owed if each[1].found or each[1].left_out):
            try:
                lines = await scored(model, batch)
            except ModelUnavailable as error:
                error.add_note(cell.agent)
                raise
            lab.run.append_influence(lines)
            done |= {line.trial for line in lines}


def _batches(episodes: Iterator[Exposed]) -> Iterator[list[Exposed]]:
    batch: list[Exposed] = []
    for each in episodes:
        batch.append(each)
        if sum(len(exposed.found) for _, exposed in batch) >= STEPS:
            yield batch
            batch = []
    if batch:
        yield batch


async def scored(model: Model, batch: Sequence[Exposed]) -> list[InfluenceLine]:
    """A line each, from one call; where the model refuses that, episode by episode, and what it refuses is left out."""
    sides = [utterance for _, exposed in batch for each in exposed.found for utterance in (each.shown, each.hidden)]
    try:
        values = iter([finite(each.total) for each in await model.score(sides)] if sides else [])
    except (ModelUnavailable, ModelMisconfigured, NoLikelihoods):
        raise
    except ModelError as error:
        if len(batch) > 1:
            return [line for each in batch for line in await scored(model, [each])]
        ((episode, exposed),) = batch
        _log.warning("influence of episode %s is not known: %s", episode.trial.id, error)
        return [
            _line(episode, Exposures((), tuple(sorted((*(each.step for each in exposed.found), *exposed.left_out)))))
        ]
    return [
        _line(episode, exposed, [(next(values), next(values)) for _ in exposed.found]) for episode, exposed in batch
    ]


def _line(
    episode: Episode, exposed: Exposures, values: Sequence[tuple[float | None, float | None]] = ()
) -> InfluenceLine:
    steps = tuple(each.step for each in exposed.found)
    shown, hidden = (tuple(side) for side in zip(*values, strict=True)) if values else ((), ())
    error = recorded_error(episode, steps, shown)
    return InfluenceLine(
        trial=episode.trial.id, steps=steps, shown=shown, hidden=hidden, left_out=exposed.left_out, error=error
    )
