"""`RunPoints`: a run as numbers, in the order in which they become known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from testbed.records.append_only import complete_lines
from testbed.records.keys import LearnerKey, PopulationKey
from testbed.records.lines import EventLine, MemberEventLine, parse_line
from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode, Trial
from testbed.reports.export.sink import Point
from transfer.memory.events.contents import Scored


class RunPoints:
    """Mean returns of learning iterations and of evaluated cells, and skills' online scores by iteration.

    A mean is told once, when all episodes that were planned for it are there; `rest` tells the others as they are. The
    run may be under way: what is written meanwhile comes when it is asked for the next time.
    """

    def __init__(self, run: RunDirectory) -> None:
        """Raises ConfigError where the study does not fit this version."""
        config = run.config()
        self._run = run
        self._planned = {
            "learn": config.learning.episodes,
            "evaluate": config.evaluation_episodes * config.epochs,
            "league": config.evaluation_episodes,
        }
        self._read = dict.fromkeys((run.events_file, run.episodes_file), 0)
        self._open: dict[tuple[str, int], list[float]] = {}
        self._told: set[tuple[str, int]] = set()

    def fresh(self) -> Iterator[Point]:
        """What has become known since it was asked before."""
        for line in self._lines(self._run.events_file):
            if b'"scored"' in line:
                yield from _score(line)
        for line in self._lines(self._run.episodes_file):
            yield from self._played(Episode.model_validate_json(line))

    def rest(self) -> Iterator[Point]:
        """The means that lack episodes."""
        for (name, step), returns in self._open.items():
            yield Point(name, step, _mean(returns))
        self._open.clear()

    def _lines(self, file: Path) -> Iterator[bytes]:
        if file.exists() and file.stat().st_size < self._read[file]:  # an iteration that was not finished was cut off
            self._read[file] = file.stat().st_size
        for _, place, line in complete_lines(file, self._read[file]):
            self._read[file] = place + len(line)
            yield line

    def _played(self, episode: Episode) -> Iterator[Point]:
        key = _cell(episode.trial)
        if episode.error is not None or key in self._told:
            return
        returns = self._open.setdefault(key, [])
        returns.append(episode.trajectory.total)
        if len(returns) == self._planned[episode.trial.phase]:
            self._told.add(key)
            yield Point(*key, _mean(self._open.pop(key)))


def _cell(trial: Trial) -> tuple[str, int]:
    """What an episode's return is averaged under, and the step of that."""
    who = LearnerKey(trial.source_agent or trial.agent, trial.task, trial.learning_run, trial.memory or "").who
    place = f"{trial.task}/run{trial.learning_run}"
    if trial.phase == "learn":
        arm = "" if trial.arm == "learn" else f"{trial.arm}/"
        return f"learning/{arm}{who}/{place}", trial.iteration
    memory = f"{trial.memory}:{trial.arm}" if trial.memory else trial.arm
    source = f"/{trial.source_agent}.{trial.source_task}" if trial.source_agent else ""
    phase = "evaluation" if trial.phase == "evaluate" else trial.phase
    return f"{phase}/{memory}{source}/{trial.agent}/{place}", 0


def _score(line: bytes) -> Iterator[Point]:
    match parse_line(line):
        case EventLine(event=Scored() as scored, learner=learner) as found if math.isfinite(scored.value):
            key = LearnerKey.of(learner)
            arm = f"{PopulationKey.of(found.population).arm}/" if isinstance(found, MemberEventLine) else ""
            place = f"{arm}{key.who}/{key.task}/run{key.learning_run}"
            yield Point(f"score/{place}/{scored.skill}", scored.iteration, scored.value)
        case _:
            pass


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
