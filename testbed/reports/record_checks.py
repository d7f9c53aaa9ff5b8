"""Do the records agree with the study that they claim to be of, and with themselves?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from analysis.tables.run import CELL
from environments.registry import ENVIRONMENTS
from testbed.config.study import StudyConfig
from testbed.play.learners import duel_tests
from testbed.play.seeds import environment_seed, evaluation_seed
from testbed.records.keys import LearnerKey
from testbed.records.lines import EventLine, Line
from testbed.records.side_files.influence import InfluenceLine
from testbed.records.trial import EVIDENCE, Episode, Trial
from testbed.reports.rows.reader import Reader
from transfer.gate.race import NOTHING_YET, Evidence, Process, verdict_of
from transfer.memory.events.evolution import Duelled
from transfer.nppo.config import make_config

SHARED = "shared experience"
"""Whose learning episodes are those that several memories learn from, or several given pools are judged by."""
MOST_TOLD = 20
"""Sentences of one kind; the rest are counted."""


class RecordCheck(Reader):
    """Reads every episode as an auditor would: its id, its seed, its rewards, and whether anybody asked for it."""

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        self._evaluated = {task.environment: task.evaluation_environment or task.environment for task in config.tasks}
        self._ids: set[str] = set()
        self._counts: Counter[tuple[object, ...]] = Counter()
        self._told: dict[str, list[str]] = {}
        self._totals: dict[str, float | None] = {}
        """Return of each trajectory that a duel names; None where it is not there."""
        self._duels: list[tuple[str, Duelled]] = []
        self._measured: dict[str, InfluenceLine] = {}
        """By trial, until its episode comes."""

    def episode(self, episode: Episode) -> None:
        trial = episode.trial
        cell = (trial.arm, trial.source_agent or "", trial.source_task or "", trial.agent, trial.task)
        if trial.phase == "learn":  # whoever played for it, it is the learner's
            each = episode.seats.values()
            self._totals |= {one.id: one.total for one in each if one.id in self._totals}
            cell = (trial.arm, "", "", trial.source_agent or trial.agent, trial.task)
        self._counts[self._memory(trial), trial.phase, *cell, trial.learning_run] += 1
        line = self._measured.pop(trial.id, None)
        said = [("influence", fault) for fault in line.faults(episode)] if line else []
        for kind, sentence in (*self._faults(episode), *said):
            self._told.setdefault(kind, []).append(f"episode {trial.id}: {sentence}.")
        self._ids.add(trial.id)

    def influence(self, line: InfluenceLine) -> None:
        self._measured[line.trial] = line

    def event(self, order: int, line: Line) -> None:
        if isinstance(line, EventLine) and isinstance(line.event, Duelled):
            self._duels.append((line.learner, line.event))
            self._totals |= dict.fromkeys(line.event.trajectories)

    def _memory(self, trial: Trial) -> str:
        """Whose episode it is: a memory's, the study's own pool's (""), or those that memories share."""
        is_shared = trial.phase == "learn" and trial.pool is None and trial.memory is None
        is_shared = is_shared and self._config.study != "population"
        return SHARED if is_shared else trial.memory or ""

    def _faults(self, episode: Episode) -> Iterator[tuple[str, str]]:
        trial = episode.trial
        if trial.id in self._ids:
            yield "twice", "stands there twice"
        if (expected := self._seeds(trial)) and trial.env_seed not in expected:
            yield "seed", f"its environment seed is {trial.env_seed}, the study gives it {expected[0]}"
        for seat, trajectory in episode.seats.items():
            if trajectory.id != f"{trial.id}/{seat}":
                yield "id", f"seat {seat} holds the trajectory {trajectory.id}, which is another trial's"
            if (trajectory.task, trajectory.env_seed) != (trial.task, trial.env_seed):
                yield "id", f"seat {seat} was played on {trajectory.task} with seed {trajectory.env_seed}"
            paid = math.fsum(step.reward for step in trajectory.steps)
            # In a game for several a seat may be paid before its first move, which no step records.
            alone = len(episode.seats) == 1
            if alone and not math.isclose(paid, trajectory.total, rel_tol=1e-9, abs_tol=1e-9):
                yield "sum", f"seat {seat} has the return {trajectory.total:g}, its rewards sum to {paid:g}"
            game = ENVIRONMENTS.get(trial.task)
            low, high = (-math.inf, math.inf) if game is None else game.reward_range
            if not low - 1e-9 <= trajectory.total <= high + 1e-9:
                yield "range", f"seat {seat} has the return {trajectory.total:g}, outside {low:g} to {high:g}"
        if episode.error is None and episode.focal not in episode.seats:
            yield "focal", f"has no record of its own seat {episode.focal}"

    def _seeds(self, trial: Trial) -> list[int]:
        """What the study's schedule gives; none where this page does not know it (a population's members), several
        where a game of another package may be evaluated in turn or not."""
        config = self._config
        if config.study == "population":
            return []
        if trial.phase == "evaluate":
            number = trial.episode // config.epochs
            game = ENVIRONMENTS.get(self._evaluated.get(trial.task, trial.task))
            orders = (False, True) if game is None else (game.in_turn,)
            return [
                evaluation_seed(config.seed, trial.task, trial.learning_run, number, in_turn=each) for each in orders
            ]
        if trial.episode >= config.learning.episodes:
            return []  # a game that a learner asked for
        keys = (trial.task, trial.learning_run, trial.iteration, trial.episode)
        return [environment_seed(config.seed, trial.phase, *keys)]

    def differences(self, plans: Mapping[str, pd.DataFrame]) -> list[str]:
        """One sentence for each thing that is wrong, missing or not asked for. `plans` by memory."""
        shared = {memory.name for memory in self._config.memories if memory.experience == "shared"}
        planned: dict[tuple[object, ...], int] = {}
        for memory, plan in plans.items():
            places = plan[["phase", *CELL, "learning_run"]].itertuples(index=False, name=None)
            for place, episodes in zip(places, plan["episodes"].tolist(), strict=True):
                if memory and place[1] == "none":
                    continue  # the pool's, and everybody's
                whose = SHARED if place[0] == "learn" and (memory in shared or place[1] == EVIDENCE) else memory
                planned[whose, *place] = max(episodes, planned.get((whose, *place), 0))
        owed = {key: count - self._counts[key] for key, count in planned.items() if self._counts[key] < count}
        lines = [sentence for kind in self._told.values() for sentence in _capped(kind)]
        lines += _capped([f"influence of {trial}: there is no such episode." for trial in self._measured])
        lines += _capped(
            [
                f"duel of {duel.skill} by {who}: {said}."
                for who, duel in self._duels
                for said in self._duel_faults(LearnerKey.of(who), duel)
            ]
        )
        for phase in dict.fromkeys(str(key[1]) for key in owed):
            lacks = {key: count for key, count in owed.items() if key[1] == phase}
            whole = sum(count for key, count in planned.items() if key[1] == phase)
            worst = max(lacks, key=lambda key: lacks[key])
            lines.append(
                f"{sum(lacks.values())} of the {whole} episodes to {phase} that the study plans are not there "
                f"(most in {_place(worst)}: {lacks[worst]})."
            )
        beyond = [
            f"{_place(key)}: {count} episodes to {key[1]}, the study plans {planned.get(key, 0)}."
            for key, count in self._counts.items()
            if count > planned.get(key, 0)
        ]
        return [*lines, *_capped(beyond)]

    def _duel_faults(self, learner: LearnerKey, duel: Duelled) -> Iterator[str]:
        """The duel again, from the returns of its games; as far as that goes where the game is another package's."""
        totals = [self._totals[id] for id in duel.trajectories]
        pairs = zip(totals[::2], totals[1::2], strict=True)
        played = [away - home for home, away in pairs if home is not None and away is not None]
        if len(totals) != 2 * len(duel.differences) or played != list(duel.differences):
            yield "its differences are not those of the games that it names"
            return
        choices = next((each.choices for each in self._config.memories if each.name == learner.memory), None)
        learning = self._config.learning
        test = make_config(learning.preset, learning.choices if choices is None else choices).duel_test
        game = ENVIRONMENTS.get(learner.task)
        if game is None:
            return
        found = fought(duel_tests({learner.task: game})[test](learner.task, duel.level), duel)
        if not math.isclose(found.e_greater, duel.e_value, rel_tol=1e-9):
            yield f"its e-value is {found.e_greater:.4g}, it says {duel.e_value:.4g}"
        if duel.outcome != (verdict_of(found, duel.level, duel.margin) or "undecided"):
            yield f"its games do not give the outcome {duel.outcome}"


def fought(process: Process, duel: Duelled) -> Evidence:
    """What the differences of a duel are worth at its end."""
    found: Evidence = NOTHING_YET
    for difference in duel.differences:
        found = process.add(difference)
    return found


def _capped(sentences: list[str]) -> list[str]:
    more = len(sentences) - MOST_TOLD
    return [*sentences[:MOST_TOLD], *([f"… and {more} more of this kind."] if more > 0 else [])]


def _place(key: tuple[object, ...]) -> str:
    return " / ".join(str(part) for part in (key[0], *key[2:-1]) if part) + f" / run {key[-1]}"
