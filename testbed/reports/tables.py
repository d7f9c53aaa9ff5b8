"""A run's records as the tables that analysis reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from analysis.matrix.comparison.claims import Adaptive
from analysis.matrix.comparison.paper import Paper
from analysis.tables.population import PopulationTables
from analysis.tables.run import (
    CELL,
    EPISODES,
    EVENTS,
    INVOCATIONS,
    LEARNING,
    LOOKS,
    POOLS,
    READING,
    RECORDED,
    REPLAYED,
    WRITING,
    Tables,
    Transcript,
)
from analysis.tables.schema import TableError
from environments.registry import ENVIRONMENTS
from environments.spec import EnvSpec
from testbed.config.memory import MemoryConfig
from testbed.config.pool import PoolConfig
from testbed.config.study import StudyConfig
from testbed.records.keys import LearnerKey
from testbed.records.lines import IterationCommit, Line, LookLine, MemberEventLine, MemoryCommit, RoundCommit
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.study_file import StudyRecord
from testbed.records.trial import EVIDENCE, Episode, Trial
from testbed.reports.plan import adaptive_plan, asked_for, declared_plan, given_plan, memory_plan
from testbed.reports.population_tables import PopulationReader
from testbed.reports.reader import Reader, Rows, read_records
from transfer.memory.events import (
    Admitted,
    EpisodesMissing,
    Event,
    Judged,
    MemberLost,
    Pruned,
    Scored,
    Seeded,
    Skipped,
    Spent,
    Warned,
)

SAMPLED_TRANSCRIPTS = 12
"""Transcripts a report shows: the first evaluated episode of as many different cells."""


class RunTables(NamedTuple):
    """Everything a report is made from."""

    run: Tables
    """Of the study's own pool."""
    population: PopulationTables | None
    """None but for a population study."""
    memories: dict[str, Tables]
    """Of each other memory, by name, as if it were the study's own; the arm without memory is in all of them."""
    given: dict[str, Tables]
    """Of each pool that the study was given, by name: the arms given and none."""
    paper: Paper | None
    """Whose values the study asks for beside its own."""
    adaptive: Adaptive | None
    """What the study is to decide as its data come; None of one of a fixed size."""

    def plans(self) -> dict[str, pd.DataFrame]:
        """What the study declares, by memory; "" is its own pool."""
        return {"": self.run.plan} | {name: tables.plan for name, tables in (self.memories | self.given).items()}


def load_run(path: Path | str) -> Tables:
    """The tables of one run directory. Raises StoreError or TableError in one sentence."""
    return read_run(RunDirectory.open(Path(path))).run


def load_population(path: Path | str) -> PopulationTables:
    """The tables of a population's run directory. Raises StoreError or TableError in one sentence."""
    found = read_run(RunDirectory.open(Path(path))).population
    if found is None:
        raise TableError(f"{path}: its study is no population; load_run reads it.")
    return found


def read_run(run: RunDirectory, *others: Reader) -> RunTables:
    """All tables of a run, whose files are read once; `others` look on. Raises as `load_run`."""
    study, config = run.study(), run.config()
    matrix = _MatrixReader(config, run.path.name)
    memories = {memory.name: _MatrixReader(config, run.path.name, memory) for memory in config.memories}
    given = {pool.name: _MatrixReader(config, run.path.name, pool) for pool in config.pools}
    population = PopulationReader(config) if config.study == "population" else None
    readers = [matrix, *memories.values(), *given.values(), *([population] if population else []), *others]
    read_records(run, readers)
    notes = run.notes()
    return RunTables(
        matrix.tables(study, population, notes),
        population.tables() if population else None,
        {name: reader.tables(study, None, notes) for name, reader in memories.items()},
        {name: reader.tables(study, None, notes) for name, reader in given.items()},
        _paper(config),
        matrix.adaptive(),
    )


def _paper(config: StudyConfig) -> Paper | None:
    models = {agent.name: agent.model for agent in config.agents}
    reasoning = {agent.name: agent.reasoning for agent in config.agents}
    return None if config.paper is None else Paper(config.paper, models, reasoning)


def transcript(episode: Episode) -> Transcript:
    """One episode as lines of (who, what), for people."""
    trial = episode.trial
    where = f"run {trial.learning_run} · episode {trial.episode}"
    title = f"{trial.arm} · {trial.agent} · {trial.task} · {where} · {trial.id}"
    if episode.error is not None:
        return Transcript(title, (("error", episode.error),))
    trajectory = episode.trajectory
    lines: list[tuple[str, str]] = [("rules", trajectory.rules)]
    for step in trajectory.steps:
        lines.append(("observation", step.observation))
        if step.skill is not None:
            lines.append(("skill started" if step.started else "skill", step.skill))
        elif step.started:
            lines += [("recalled", unit) for unit in step.units]
        if step.reasoning:
            lines.append(("reasoning", step.reasoning))
        lines.append(("action", step.action))
        if step.reward:
            lines.append(("reward", f"{step.reward:+.3f}"))
    ending = f"return {trajectory.total:.3f}, {'solved' if trajectory.solved else 'not solved'}. {trajectory.reason}"
    return Transcript(title, (*lines, ("end", ending)))


class _MatrixReader(Reader):
    """Evaluated episodes, learning episodes, learners' events and last memories, of one memory: the study's own pool,
    unless another is named. The arm without memory is every memory's."""

    def __init__(self, config: StudyConfig, run: str, memory: MemoryConfig | PoolConfig | None = None) -> None:
        self._config = config
        self._memory = memory
        self._name = memory.name if memory else ""
        self._names = {"study": config.study, "run": run}
        self._evaluated, self._invoked, self._learned = (
            Rows((*EPISODES, *READING, *RECORDED)),
            Rows(INVOCATIONS),
            Rows((*LEARNING, *REPLAYED)),
        )
        self._events, self._pools = Rows(EVENTS), Rows(POOLS)
        self._states: dict[str, IterationCommit | MemoryCommit] = {}
        self._writing = Rows(WRITING)
        self._spent: dict[str, Spent] = {}
        self._seeds: set[str] = set()
        self._samples: dict[tuple[str, str, str], Episode] = {}
        self._tasks: set[str] = set()
        self._looks: list[LookLine] = []

    def event(self, order: int, line: Line) -> None:
        if isinstance(line, LookLine):
            self._looks.append(line)
            return
        if isinstance(line, RoundCommit | MemberEventLine) or LearnerKey.of(line.learner).memory != self._name:
            return
        if isinstance(line, IterationCommit | MemoryCommit):
            self._states[line.learner] = line
            self._writing.add(_writing_row(line, self._spent.pop(line.learner, None)))
        else:
            if isinstance(line.event, Spent):
                self._spent[line.learner] = line.event
            if isinstance(line.event, Seeded):
                self._seeds.add(line.event.skill)
            self._events.add(_event_row(order, line.learner, line.event))

    def episode(self, episode: Episode) -> None:
        trial = episode.trial
        self._tasks.add(trial.task)
        if not self._is_mine(trial):
            return
        if trial.phase == "learn" and self._names["study"] != "population":  # whose rounds PopulationReader keeps
            self._learned.add(_learning_row(episode))
        if trial.phase == "evaluate":
            self._evaluated.add(self._names | episode_row(episode))
            for row in _invocation_rows(episode):
                self._invoked.add(row)
            self._sample(episode)

    def _is_mine(self, trial: Trial) -> bool:
        if trial.phase != "learn":
            return (trial.memory or "") == self._name or trial.arm == "none"
        if isinstance(self._memory, PoolConfig) or trial.arm == EVIDENCE:
            return (
                trial.arm == EVIDENCE and isinstance(self._memory, PoolConfig) and self._memory.judges_by(trial.episode)
            )
        shared = trial.pool is None and trial.memory is None  # without a memory one may also play a game again
        if self._memory is None:
            return trial.memory is None and not shared
        return shared if self._memory.experience == "shared" else trial.memory == self._name

    def _sample(self, episode: Episode) -> None:
        """Keep the first episode of the first cells, in an order that does not depend on who finished first."""
        cell = _shown_first(episode.trial)
        if episode.error is not None or ((kept := self._samples.get(cell)) and _place(kept) <= _place(episode)):
            return
        self._samples[cell] = episode
        if len(self._samples) > SAMPLED_TRANSCRIPTS:
            del self._samples[max(self._samples)]

    def tables(self, study: StudyRecord, population: PopulationReader | None, notes: Sequence[str]) -> Tables:
        config = self._config
        origin = {"origin": "given"} if isinstance(self._memory, PoolConfig) else {}
        for row in _pool_rows(self._states, self._seeds):
            self._pools.add(row | origin)
        for row in population.pool_rows() if population else ():
            self._pools.add(row)
        games = study_games(config, self._tasks)
        return Tables.of(
            self._evaluated.frame("learning_run", *CELL, "episode", "seat"),
            invocations=self._invoked.frame("learning_run", *CELL, "env_seed", "unit"),
            pools=self._pools.frame("learning_run", "agent", "task", "unit"),
            learning=self._learned.frame("learning_run", "agent", "task", "iteration", "episode"),
            writing=self._writing.frame("learning_run", "agent", "task", "iteration"),
            events=_in_turn(self._events.frame("learning_run", "agent", "task", "order")),
            plan=self._plan(games),
            looks=pd.DataFrame(list(_look_rows(self._looks)), columns=[column.name for column in LOOKS]),
            ranges={name: game.reward_range for name, game in games.items() if game is not None},
            transcripts=[transcript(self._samples[cell]) for cell in sorted(self._samples)],
            games=_games(study, config, games),
            versions=_versions(study) | {f"note {number}": note for number, note in enumerate(notes, 1)},
        )

    def adaptive(self) -> Adaptive | None:
        return adaptive_plan(self._config, study_games(self._config, self._tasks))

    def _plan(self, games: Mapping[str, EnvSpec | None]) -> pd.DataFrame:
        """Of an adaptive study what its looks have asked for."""
        adaptive = adaptive_plan(self._config, games)
        whole = self._whole_plan(games)
        return whole if adaptive is None else asked_for(whole, self._config, adaptive, self._looks, self._name)

    def _whole_plan(self, games: Mapping[str, EnvSpec | None]) -> pd.DataFrame:
        if isinstance(self._memory, PoolConfig):
            return given_plan(self._config, self._memory, games)
        if self._memory is not None:
            return memory_plan(self._config, games)
        return declared_plan(self._config, {name: 1 if game is None else game.seats for name, game in games.items()})


def _look_rows(looks: Iterable[LookLine]) -> Iterator[dict[str, Any]]:
    for look in looks:
        beside = {"look": look.look, "runs": look.runs, "tokens": look.tokens, "why": look.why}
        yield from (claim.model_dump() | beside for claim in look.claims)


def _in_turn(events: pd.DataFrame) -> pd.DataFrame:
    """Events numbered as if one learner had come after the other."""
    return events.assign(order=range(len(events)))


def study_games(config: StudyConfig, played: Iterable[str]) -> dict[str, EnvSpec | None]:
    """The study's games by id. Of another package's game nothing is known here but the id under which it was played."""
    named = {task.environment: ENVIRONMENTS.get(task.environment) for task in config.tasks}
    foreign = sorted(set(played) - set(named))
    return {name: game for name, game in named.items() if game is not None} | dict.fromkeys(foreign)


def _games(study: StudyRecord, config: StudyConfig, specs: Mapping[str, EnvSpec | None]) -> dict[str, dict[str, str]]:
    """What each task's game was made of: what the study says of it, step limit, packages and who sits opposite."""
    made: dict[str, dict[str, str]] = {}
    ids = list(study.versions.games) or [task.environment for task in config.tasks]
    for id, task in zip(ids, config.tasks, strict=False):
        spec = specs.get(id)
        alone = spec is not None and spec.seats == 1
        settings = task.model_dump(mode="json", exclude={"environment", *(["opponent"] if alone else [])})
        game = {name: str(value) for name, value in settings.items()}
        if spec is not None:
            game |= {name: version for name, version in study.versions.packages.items() if name == spec.package}
        game |= {name: str(value) for name, value in study.versions.games.get(id, {}).items()}
        card = {} if alone else study.versions.opponents.get(id, {})
        made[id] = game | ({"opponent's weights": str(card["weights"])[:12]} if "weights" in card else {})
    return made


def _shown_first(trial: Trial) -> tuple[str, str, str]:
    return trial.agent, trial.task, trial.arm


def _place(episode: Episode) -> tuple[int, int, str]:
    return episode.trial.learning_run, episode.trial.episode, episode.trial.id


def episode_row(episode: Episode) -> dict[str, Any]:
    """An episode as the table `EPISODES` has it, but for the names of study and run."""
    trial = episode.trial
    row: dict[str, Any] = trial.model_dump(include={*CELL, "learning_run", "env_seed", "episode", "seat", "pool"})
    row["error"] = episode.error
    if episode.error is not None:
        return row
    trajectory = episode.trajectory
    steps = trajectory.steps
    return row | {
        "return": trajectory.total,
        "solved": trajectory.solved,
        "invalid": trajectory.invalid,
        "steps": len(steps),
        "skill_calls": sum(step.started for step in steps),
        "skill_steps": sum(bool(step.units) for step in steps),
        "memory_tokens": sum(step.memory_tokens for step in steps) / max(1, len(steps)),
        "prompt_tokens": sum(step.prompt_tokens for step in steps),
        "completion_tokens": sum(step.completion_tokens for step in steps),
        "thought_tokens": sum(step.thought_tokens for step in steps),
        "calls": sum(step.calls for step in steps),
        "dropped_turns": sum(step.dropped_turns for step in steps),
        "task_type": trajectory.infos.get("task_type"),
        "left_out": sum(step.left_out for step in steps),
        "reading_calls": sum(step.reading_calls for step in steps),
        "reading_tokens": sum(step.reading_prompt_tokens + step.reading_completion_tokens for step in steps),
    }


def _invocation_rows(episode: Episode) -> Iterator[dict[str, Any]]:
    if episode.error is not None:
        return
    trial = episode.trial
    cell = trial.model_dump(include={*CELL, "learning_run", "env_seed"})
    calls = Counter(unit for step in episode.trajectory.steps if step.started for unit in step.units)
    for unit, count in calls.items():
        yield {**cell, "unit": unit, "calls": count}


def _learning_row(episode: Episode) -> dict[str, Any]:
    trial = episode.trial
    row: dict[str, Any] = trial.model_dump(
        include={"agent", "task", "learning_run", "iteration", "episode", "env_seed", "pool"}
    )
    row |= {"agent": trial.source_agent or trial.agent, "attempt": trial.attempt}
    if episode.error is None:
        row |= {"return": episode.trajectory.total, "solved": episode.trajectory.solved}
    return row | {"error": episode.error}


def _pool_rows(states: Mapping[str, IterationCommit | MemoryCommit], seeds: set[str]) -> Iterator[dict[str, Any]]:
    for committed in states.values():
        source = LearnerKey.of(committed.learner)
        if isinstance(committed, MemoryCommit):
            for unit in committed.units:
                row = {"unit": unit.id, "name": unit.name or unit.kind, "tokens": unit.tokens, "origin": unit.kind}
                yield {"pool": committed.memory, **source._asdict(), **row}
            continue
        for skill in committed.state.pool.each():
            origin = "seed" if skill.id in seeds else "refined" if skill.parents else "discovered"
            yield {
                "pool": committed.state.pool.digest,
                **source._asdict(),
                "unit": skill.id,
                "name": skill.name,
                "tokens": committed.tokens[skill.id],
                "origin": origin,
            }


def _writing_row(line: IterationCommit | MemoryCommit, spent: Spent | None) -> dict[str, Any]:
    """What an iteration asked of models; runs of before it was counted asked nothing that is known."""
    return {
        **LearnerKey.of(line.learner)._asdict(),
        "iteration": line.committed,
        "calls": spent.calls if spent else 0,
        "tokens": spent.prompt_tokens + spent.completion_tokens if spent else 0,
        "scored": spent.scored if spent else 0,
        "archive_tokens": line.archive_tokens if isinstance(line, MemoryCommit) else 0,
    }


def _event_row(order: int, learner: str, event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "order": order,
        **LearnerKey.of(learner)._asdict(),
        "iteration": event.iteration,
        "unit": event.skill,
        "parents": " ".join(event.parents),
        **dict.fromkeys(("J", "delta_J", "noise", "verdict", "score", "text")),
        **_measured(event),
    }


def _measured(event: Event) -> dict[str, Any]:
    """What an event of this kind has to say in columns of their own."""
    match event:
        case Judged():
            numbers = {"J": event.objective, "delta_J": event.change, "noise": event.noise}
            return {**numbers, "verdict": event.outcome or None, "text": event.why}
        case Admitted():
            return {"J": event.objective, "delta_J": event.change}
        case Scored():
            return {"score": event.value}
        case Pruned():
            return {"score": event.score, "text": event.why}
        case Skipped() | EpisodesMissing() | MemberLost() | Warned():
            return {"text": event.why or None}
        case _:
            return {}


def _versions(study: StudyRecord) -> dict[str, str]:
    models = {
        f"model {name}": ", ".join(f"{key} {value}" for key, value in card.items())
        for name, card in study.versions.models.items()
    }
    return {
        "study digest": study.digest,
        "prompts": study.versions.prompts,
        **study.versions.packages,
        **models,
        **_others(study),
    }


def _others(study: StudyRecord) -> dict[str, str]:
    """What runs of before did not record."""
    versions = study.versions
    cards = {"embedder": versions.embedder} | {f"opponent in {task}": card for task, card in versions.opponents.items()}
    texts = {name: ", ".join(f"{key} {value}" for key, value in card.items()) for name, card in cards.items() if card}
    texts |= {"evolver's prompts": versions.evolver_prompts, "date": study.date}
    return {name: text for name, text in texts.items() if text}
