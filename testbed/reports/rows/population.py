"""A population study's records as the tables that `analysis.tables.population` documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from agents.skill import Skill
from analysis.tables import population as schema
from analysis.tables.population import PopulationTables
from analysis.tables.schema import TableError
from testbed.config.study import StudyConfig
from testbed.records.keys import LearnerKey, PopulationKey
from testbed.records.lines import Line, MemberEventLine, RoundCommit
from testbed.records.trial import Episode
from testbed.reports.rows.reader import Reader, Rows
from transfer.contamination.scan import scan, scan_traces
from transfer.exchange.population import NOBODY
from transfer.memory.events.contents import Admitted, Given, Planted, Pruned
from transfer.memory.events.course import MemberLost, Skipped, Warned
from transfer.memory.events.event import Event
from transfer.memory.events.evolution import Judged, Proposed

Row = dict[str, Any]
DEEDS = ("gift", "verdict", "admitted", "pruned", "planted", "skipped", "missing", "lost", "warning")


PLACE = ("arm", "task", "learning_run")


class PopulationReader(Reader):
    """Rounds, events, skills and games of a population's run, as `analysis.tables.population` documents them."""

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        self._held: dict[str, dict[str, Skill]] = {}
        self._last: dict[str, RoundCommit] = {}
        self._tokens: dict[str, int] = {}
        self._poisons: dict[tuple[str, str], str] = {}
        self._sources: dict[tuple[str, str], tuple[str, ...]] = {}
        self._wanted: set[str] = set()
        self._signs: dict[str, tuple[str, ...]] = {}
        self._calls: Counter[tuple[str, str, int, int, str, str]] = Counter()
        self._plays, self._seats = Rows(schema.PLAYS), Rows(schema.SEATS)
        self._holdings, self._deeds = Rows(schema.HOLDINGS), Rows(schema.DEEDS)

    def event(self, order: int, line: Line) -> None:
        if isinstance(line, RoundCommit):
            self._round(line)
        elif isinstance(line, MemberEventLine):
            self._event(order, line)

    def episode(self, episode: Episode) -> None:
        trial = episode.trial
        for trajectory in episode.seats.values():
            if trajectory.id in self._wanted and (signs := scan_traces([trajectory])):
                self._signs[trajectory.id] = tuple(signs)
        if trial.phase == "league" and episode.error is None:
            for row in _seats(episode):
                self._seats.add(row)
        if trial.phase != "learn":
            return
        self._plays.add(_play(episode))
        for step in episode.trajectory.steps if episode.error is None else ():
            if step.started and step.skill:
                where = (trial.arm, trial.task, trial.learning_run, trial.iteration, trial.agent, step.skill)
                self._calls[where] += 1

    def tables(self) -> PopulationTables:
        """Raises TableError in one sentence."""
        keys = [*PLACE, "round", "agent", "unit"]
        uses = [{**dict(zip(keys, where, strict=True)), "calls": count} for where, count in self._calls.items()]
        return PopulationTables.of(
            policies=policy_table(self._config),
            members=_frame(_members(self._config), schema.MEMBERS),
            plays=self._plays.frame(*PLACE, "round", "agent", "episode"),
            uses=_frame(uses, schema.USES).sort_values(keys, ignore_index=True),
            holdings=self._holdings.frame(*PLACE, "round"),
            deeds=self._deeds.frame(*PLACE, "order").assign(order=range(len(self._deeds))),
            skills=_frame(self._skills(), schema.SKILLS),
            seats=self._seats.frame(*PLACE, "env_seed", "game", "seat"),
        )

    def pool_rows(self) -> Iterator[Row]:
        """The pools that members ended with, as rows of `analysis.tables.run.POOLS`."""
        for key, gathered in sorted(self._last.items()):
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
                        "tokens": self._length(skill.id),
                        "origin": "seed" if author == NOBODY else own if author == name else "given",
                    }

    def _length(self, skill: str) -> int:
        if skill not in self._tokens:
            raise TableError(
                f"events.jsonl: no round says how long the skill {skill} is; `procmem check run` says more"
            )
        return self._tokens[skill]

    def _round(self, line: RoundCommit) -> None:
        self._last[line.population] = line
        self._tokens |= line.tokens
        held = self._held.setdefault(line.population, {})
        for name, member in line.society.members.items():
            for skill in member.state.pool.each():
                held.setdefault(skill.id, skill)
                self._holdings.add({**_life(line.population), "round": line.committed, "agent": name, "unit": skill.id})

    def _event(self, order: int, line: MemberEventLine) -> None:
        event = line.event
        if isinstance(event, Planted):
            self._poisons[line.population, event.skill] = event.poison
        if event.trajectories and isinstance(event, Proposed | Admitted):
            self._sources.setdefault((line.population, event.skill), event.trajectories)
            self._wanted.update(event.trajectories)
        if event.kind in DEEDS:
            self._deeds.add(
                {
                    **_life(line.population),
                    "round": event.iteration,
                    "order": order,
                    "agent": LearnerKey.of(line.learner).agent,
                    "kind": event.kind,
                    "unit": event.skill or None,
                    **dict.fromkeys(("giver", "outcome", "change", "why")),
                    **_details(event),
                }
            )

    def _skills(self) -> Iterator[Row]:
        """Every skill ever held, once per population, with what a scan says of it and of what it came from."""
        for population, held in sorted(self._held.items()):
            for skill in held.values():
                traces = [self._signs.get(id, ()) for id in self._sources.get((population, skill.id), ())]
                yield {
                    **_life(population),
                    "unit": skill.id,
                    "name": skill.name,
                    "author": self._last[population].society.authors.get(skill.id) or None,
                    "parents": " ".join(skill.parents),
                    "words": f"{skill.activation}\n{skill.procedure}",
                    "poison": self._poisons.get((population, skill.id)),
                    "signs": "; ".join(scan(skill)),
                    "traces": "; ".join(dict.fromkeys(sign for signs in traces for sign in signs)),
                }


def _details(event: Event) -> Row:
    """Giver, outcome, change and reason, as far as an event of this kind has them."""
    details: Row
    match event:
        case Judged():
            details = {"giver": event.giver, "outcome": event.outcome, "change": event.change, "why": event.why or None}
        case Admitted():
            details = {"giver": event.giver, "change": event.change}
        case Given():
            details = {"giver": event.giver}
        case Pruned() | Skipped():
            details = {"giver": event.giver, "why": event.why}
        case MemberLost():
            details = {"why": event.why}
        case Warned():
            details = {"why": event.why or event.text}
        case _:
            details = {}
    return details


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


def policy_table(config: StudyConfig) -> pd.DataFrame:
    """The policies of a population study, as its file declares them (columns POLICIES)."""
    return _frame(_policies(config), schema.POLICIES)


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
            "maintenance": config.maintenance_of(policy),
            "poison": policy.poison,
            "poison_round": policy.poison_round if policy.poison else None,
            "twin": twin if policy.poison else None,
        }


def _members(config: StudyConfig) -> Iterator[Row]:
    models = {agent.name: agent.model for agent in config.agents}
    for name, kind in config.members.items():
        yield {"agent": name, "kind": kind, "model": models[kind]}


def _life(population: str) -> Row:
    return PopulationKey.of(population)._asdict()


def _frame(rows: Iterator[Row] | Sequence[Row], columns: Sequence[schema.Column]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=[column.name for column in columns])
