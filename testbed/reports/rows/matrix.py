"""The records of one memory of a study, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.matrix.comparison.claims import Adaptive
from analysis.tables.run import (
    CELL,
    EPISODES,
    EVENTS,
    INFLUENCE,
    INVOCATIONS,
    LEARNING,
    LOOKS,
    POOLS,
    READING,
    RECORDED,
    REPLAYED,
    WRITING,
    Tables,
)
from environments.spec import EnvSpec
from testbed.config.memory import MemoryConfig
from testbed.config.pool import PoolConfig
from testbed.config.study import StudyConfig
from testbed.records.keys import LearnerKey
from testbed.records.lines import IterationCommit, Line, LookLine, MemberEventLine, MemoryCommit, RoundCommit
from testbed.records.side_files.influence import InfluenceLine
from testbed.records.side_files.study_file import StudyRecord
from testbed.records.trial import EVIDENCE, Episode, Trial
from testbed.reports.plan import adaptive_plan, asked_for, declared_plan, given_plan, memory_plan
from testbed.reports.rows.episodes import episode_row, influence_row, invocation_rows, learning_row
from testbed.reports.rows.events import event_row, look_rows, pool_rows, writing_row
from testbed.reports.rows.games import game_cards, recorded_versions, study_games
from testbed.reports.rows.population import PopulationReader
from testbed.reports.rows.reader import Reader, Rows
from testbed.reports.rows.transcript import transcript
from transfer.memory.events.contents import Seeded
from transfer.memory.events.course import Spent

SAMPLED_TRANSCRIPTS = 12
"""Transcripts a report shows: the first evaluated episode of as many different cells."""


class MatrixReader(Reader):
    """Evaluated episodes, learning episodes, learners' events and last memories, of one memory: the study's own pool,
    unless another is named. The arm without memory is every memory's."""

    def __init__(self, config: StudyConfig, run: str, memory: MemoryConfig | PoolConfig | None = None) -> None:
        self._config = config
        self._memory = memory
        self._name = memory.name if memory else ""
        self._names = {"study": config.study, "run": run}
        self._evaluated, self._invoked, self._learned = (
            Rows((*EPISODES, *READING, *RECORDED, *INFLUENCE)),
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
        self._measured: InfluenceLine | None = None

    def event(self, order: int, line: Line) -> None:
        if isinstance(line, LookLine):
            self._looks.append(line)
            return
        if isinstance(line, RoundCommit | MemberEventLine) or LearnerKey.of(line.learner).memory != self._name:
            return
        if isinstance(line, IterationCommit | MemoryCommit):
            self._states[line.learner] = line
            self._writing.add(writing_row(line, self._spent.pop(line.learner, None)))
        else:
            if isinstance(line.event, Spent):
                self._spent[line.learner] = line.event
            if isinstance(line.event, Seeded):
                self._seeds.add(line.event.skill)
            self._events.add(event_row(order, line.learner, line.event))

    def influence(self, line: InfluenceLine) -> None:
        self._measured = line

    def episode(self, episode: Episode) -> None:
        trial = episode.trial
        measured, self._measured = self._measured, None
        self._tasks.add(trial.task)
        if not self._is_mine(trial):
            return
        if trial.phase == "learn" and self._names["study"] != "population":  # whose rounds PopulationReader keeps
            self._learned.add(learning_row(episode))
        if trial.phase == "evaluate":
            self._evaluated.add(self._names | episode_row(episode) | influence_row(measured))
            for row in invocation_rows(episode):
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
        for row in pool_rows(self._states, self._seeds):
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
            looks=pd.DataFrame(list(look_rows(self._looks)), columns=[column.name for column in LOOKS]),
            ranges={name: game.reward_range for name, game in games.items() if game is not None},
            transcripts=[transcript(self._samples[cell]) for cell in sorted(self._samples)],
            games=game_cards(study, config, games),
            versions=recorded_versions(study) | {f"note {number}": note for number, note in enumerate(notes, 1)},
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


def _in_turn(events: pd.DataFrame) -> pd.DataFrame:
    """Events numbered as if one learner had come after the other."""
    return events.assign(order=range(len(events)))


def _shown_first(trial: Trial) -> tuple[str, str, str]:
    return trial.agent, trial.task, trial.arm


def _place(episode: Episode) -> tuple[int, int, str]:
    return episode.trial.learning_run, episode.trial.episode, episode.trial.id
