"""Do the records agree with the study that they claim to be of, and with themselves?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from analysis.tables.run import CELL
from environments.registry import ENVIRONMENTS
from testbed.config.study import StudyConfig
from testbed.play.seeds import environment_seed
from testbed.records.trial import Episode, Trial
from testbed.reports.reader import Reader

SHARED = "shared experience"
"""Whose learning episodes are those that several memories learn from."""
MOST_TOLD = 20
"""Sentences of one kind; the rest are counted."""


class RecordCheck(Reader):
    """Reads every episode as an auditor would: its id, its seed, its rewards, and whether anybody asked for it."""

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        self._ids: set[str] = set()
        self._counts: Counter[tuple[object, ...]] = Counter()
        self._told: dict[str, list[str]] = {}

    def episode(self, episode: Episode) -> None:
        trial = episode.trial
        cell = (trial.arm, trial.source_agent or "", trial.source_task or "", trial.agent, trial.task)
        if trial.phase == "learn":  # whoever played for it, it is the learner's
            cell = (trial.arm, "", "", trial.source_agent or trial.agent, trial.task)
        self._counts[self._memory(trial), trial.phase, *cell, trial.learning_run] += 1
        for kind, sentence in self._faults(episode):
            self._told.setdefault(kind, []).append(f"episode {trial.id}: {sentence}.")
        self._ids.add(trial.id)

    def _memory(self, trial: Trial) -> str:
        """Whose episode it is: a memory's, the study's own pool's (""), or those that memories share."""
        is_shared = trial.phase == "learn" and trial.pool is None and self._config.study != "population"
        return SHARED if is_shared else trial.memory or ""

    def _faults(self, episode: Episode) -> Iterator[tuple[str, str]]:
        trial = episode.trial
        if trial.id in self._ids:
            yield "twice", "stands there twice"
        if (expected := self._seed(trial)) is not None and trial.env_seed != expected:
            yield "seed", f"its environment seed is {trial.env_seed}, the study gives it {expected}"
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

    def _seed(self, trial: Trial) -> int | None:
        """What the study's schedule gives; None where this page does not know it (a population's members)."""
        config = self._config
        if config.study == "population":
            return None
        if trial.phase == "evaluate":
            keys = (trial.task, trial.learning_run, trial.episode // config.epochs)
        elif trial.episode >= config.learning.episodes:
            return None  # a game that a learner asked for
        else:
            keys = (trial.task, trial.learning_run, trial.iteration, trial.episode)
        return environment_seed(config.seed, trial.phase, *keys)

    def differences(self, plans: Mapping[str, pd.DataFrame]) -> list[str]:
        """One sentence for each thing that is wrong, missing or not asked for. `plans` by memory."""
        shared = {memory.name for memory in self._config.memories if memory.experience == "shared"}
        planned: dict[tuple[object, ...], int] = {}
        for memory, plan in plans.items():
            places = plan[["phase", *CELL, "learning_run"]].itertuples(index=False, name=None)
            for place, episodes in zip(places, plan["episodes"].tolist(), strict=True):
                if memory and place[1] == "none":
                    continue  # the pool's, and everybody's
                whose = SHARED if memory in shared and place[0] == "learn" else memory
                planned[whose, *place] = episodes
        owed = {key: count - self._counts[key] for key, count in planned.items() if self._counts[key] < count}
        lines = [sentence for kind in self._told.values() for sentence in _capped(kind)]
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


def _capped(sentences: list[str]) -> list[str]:
    more = len(sentences) - MOST_TOLD
    return [*sentences[:MOST_TOLD], *([f"… and {more} more of this kind."] if more > 0 else [])]


def _place(key: tuple[object, ...]) -> str:
    return " / ".join(str(part) for part in (key[0], *key[2:-1]) if part) + f" / run {key[-1]}"
