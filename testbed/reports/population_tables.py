"""Annals: a population study's records as the tables that `analysis.tables.population` documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from agents.skill import Skill
from analysis.tables import population as tables
from analysis.tables.population import Annals
from testbed.config.study import StudyConfig
from testbed.records.keys import Place, Source
from testbed.records.lines import Gathered, Told
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode
from transfer.contamination.scan import scan, scan_traces
from transfer.exchange.population import NOBODY

Row = dict[str, Any]
DEEDS = ("gift", "verdict", "admitted", "pruned", "planted", "skipped", "lost", "warning")


def load_annals(path: Path | str) -> Annals:
    """The annals of a population's run directory. Raises StoreError or TableError in one sentence."""
    run = RunDirectory.open(Path(path))
    config = run.config()
    plays, uses, seats = _episodes(run)
    chronicle = _Chronicle(run)
    return Annals.of(
        policies=_frame(_policies(config), tables.POLICIES),
        members=_frame(_members(config), tables.MEMBERS),
        plays=_frame(plays, tables.PLAYS),
        uses=_frame(uses, tables.USES),
        holdings=_frame(chronicle.holdings, tables.HOLDINGS),
        deeds=_frame(chronicle.deeds, tables.DEEDS),
        skills=_frame(chronicle.skills(), tables.SKILLS),
        seats=_frame(seats, tables.SEATS),
    )


def pool_rows(run: RunDirectory) -> Iterator[Row]:
    """The pools that members ended with, as rows of `analysis.tables.run.POOLS`."""
    tokens: dict[str, int] = {}
    last: dict[str, Gathered] = {}
    for line in run.events():
        if isinstance(line, Gathered):
            tokens |= line.tokens
            last[line.population] = line
    for key, gathered in last.items():
        place = _life(key)
        for name, member in gathered.society.members.items():
            pool = member.state.pool
            for skill in pool.each():
                author = gathered.society.authors[skill.id]
                own = "refined" if skill.parents else "discovered"
                yield {
                    "pool": pool.digest,
                    "agent": name,
                    "task": place["task"],
                    "learning_run": place["learning_run"],
                    "unit": skill.id,
                    "name": skill.name,
                    "tokens": tokens[skill.id],
                    "origin": "seed" if author == NOBODY else own if author == name else "given",
                }


class _Chronicle:
    """One pass through `events.jsonl`."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._held: dict[str, dict[str, Skill]] = {}
        self._authors: dict[str, Mapping[str, str]] = {}
        self._poisons: dict[tuple[str, str], str] = {}
        self._sources: dict[tuple[str, str], tuple[str, ...]] = {}
        self.holdings: list[Row] = []
        self.deeds: list[Row] = []
        for order, line in enumerate(run.events()):
            if isinstance(line, Gathered):
                self._round(line)
            elif isinstance(line, Told):
                self._event(order, line)

    def _round(self, line: Gathered) -> None:
        self._authors[line.population] = line.society.authors
        held = self._held.setdefault(line.population, {})
        for name, member in line.society.members.items():
            for skill in member.state.pool.each():
                held.setdefault(skill.id, skill)
                row = {**_life(line.population), "round": line.committed, "agent": name, "unit": skill.id}
                self.holdings.append(row)

    def _event(self, order: int, line: Told) -> None:
        payload = line.payload
        if line.kind == "planted":
            self._poisons[line.population, line.skill] = str(payload["poison"])
        if line.trajectories and line.kind in ("candidate", "admitted"):
            self._sources.setdefault((line.population, line.skill), line.trajectories)
        if line.kind in DEEDS:
            self.deeds.append(
                {
                    **_life(line.population),
                    "round": line.iteration,
                    "order": order,
                    "agent": Source.of(line.learner).agent,
                    "kind": line.kind,
                    "unit": line.skill or None,
                    "giver": payload.get("from"),
                    "outcome": payload.get("outcome"),
                    "change": payload.get("change"),
                    "why": payload.get("why", payload.get("text")),
                }
            )

    def skills(self) -> Iterator[Row]:
        """Every skill ever held, once per population, with what a scan says of it and of what it came from."""
        wanted = {id for ids in self._sources.values() for id in ids}
        seen = _signs_of(self._run, wanted)
        for population, held in self._held.items():
            for skill in held.values():
                traces = [seen.get(id, ()) for id in self._sources.get((population, skill.id), ())]
                yield {
                    **_life(population),
                    "unit": skill.id,
                    "name": skill.name,
                    "author": self._authors[population].get(skill.id) or None,
                    "parents": " ".join(skill.parents),
                    "words": f"{skill.activation}\n{skill.procedure}",
                    "poison": self._poisons.get((population, skill.id)),
                    "signs": "; ".join(scan(skill)),
                    "traces": "; ".join(dict.fromkeys(sign for signs in traces for sign in signs)),
                }


def _signs_of(run: RunDirectory, wanted: set[str]) -> dict[str, tuple[str, ...]]:
    """Signs of harm in the trajectories of these ids; those without any are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for episode in run.episodes() if wanted else ():
        for trajectory in episode.seats.values():
            if trajectory.id in wanted and (signs := scan_traces([trajectory])):
                found[trajectory.id] = tuple(signs)
    return found


def _episodes(run: RunDirectory) -> tuple[list[Row], list[Row], list[Row]]:
    """Plays, uses and the league's seats."""
    plays: list[Row] = []
    seats: list[Row] = []
    calls: Counter[tuple[str, str, int, int, str, str]] = Counter()
    for episode in run.episodes():
        trial = episode.trial
        if trial.phase == "league" and episode.error is None:
            seats += _seats(episode)
        if trial.phase != "learn":
            continue
        plays.append(_play(episode))
        for step in episode.trajectory.steps if episode.error is None else ():
            if step.started and step.skill:
                where = (trial.arm, trial.task, trial.learning_run, trial.iteration, trial.agent, step.skill)
                calls[where] += 1
    keys = ("arm", "task", "learning_run", "round", "agent", "unit")
    uses = [{**dict(zip(keys, where, strict=True)), "calls": count} for where, count in calls.items()]
    return plays, uses, seats


def _play(episode: Episode) -> Row:
    trial = episode.trial
    row: Row = trial.model_dump(include={"arm", "task", "learning_run", "agent", "episode"})
    row |= {"round": trial.iteration, "error": episode.error}
    if episode.error is not None:
        return row
    trajectory = episode.trajectory
    return row | {
        "return": trajectory.total,
        "solved": trajectory.solved,
        "invalid": trajectory.invalid,
        "steps": len(trajectory.steps),
        "skill_steps": sum(bool(step.units) for step in trajectory.steps),
    }


def _seats(episode: Episode) -> Iterator[Row]:
    trial = episode.trial
    for seat, trajectory in episode.seats.items():
        yield {
            **trial.model_dump(include={"arm", "task", "learning_run", "env_seed"}),
            "game": trial.id,
            "seat": int(seat.removeprefix("player_")),
            "agent": trajectory.agent,
            "focal": seat == episode.focal,
            "return": trajectory.total,
        }


def _policies(config: StudyConfig) -> Iterator[Row]:
    """Arms, each with its twin without poison: the policy that differs from it in nothing else."""
    traits = {
        policy.name: policy.model_dump(exclude={"name", "poison", "bearer", "poison_round"})
        for policy in config.population.policies
    }
    clean = {policy.name for policy in config.population.policies if policy.poison is None}
    for policy in config.population.policies:
        twin = next((name for name in traits if name in clean and traits[name] == traits[policy.name]), None)
        yield {
            "arm": policy.name,
            "exchange": policy.exchange,
            "admission": policy.admission,
            "maintenance": policy.maintenance,
            "poison": policy.poison,
            "poison_round": policy.poison_round if policy.poison else None,
            "twin": twin if policy.poison else None,
        }


def _members(config: StudyConfig) -> Iterator[Row]:
    models = {agent.name: agent.model for agent in config.agents}
    for name, kind in config.members.items():
        yield {"agent": name, "kind": kind, "model": models[kind]}


def _life(population: str) -> Row:
    return Place.of(population)._asdict()


def _frame(rows: Iterator[Row] | Sequence[Row], columns: Sequence[tables.Column]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=[column.name for column in columns])
