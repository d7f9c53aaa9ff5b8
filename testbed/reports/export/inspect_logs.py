"""Inspect's logs (inspect_ai), by its own writer: its viewer and its data frames open a run's episodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from testbed.records.run_directory import RunDirectory
from testbed.records.trial import Episode, Trial
from testbed.reports.export.sink import package
from transfer.memory.experience import Trajectory

_NOT_IN_A_FILE = re.compile(r"[^A-Za-z0-9._-]+")


class InspectLogs:
    """One log for each agent on each task in each arm (and of each source): what Inspect calls a task and its model.

    A sample is an episode, its messages what its focal seat saw and did: the rules, then observation and move in turn.
    The text of a memory is not among them, as no record of an episode holds it; ids of what was recalled are.
    """

    def __init__(self, run: RunDirectory, folder: Path) -> None:
        """Raises SinkError where inspect_ai is not installed."""
        self._log = package("inspect_ai.log", "Inspect", "inspect")
        self._model = package("inspect_ai.model", "Inspect", "inspect")
        self._scorer = package("inspect_ai.scorer", "Inspect", "inspect")
        self._run = run
        self._folder = folder
        self._models = {agent.name: agent.model for agent in run.config().agents}
        self._kinds = run.config().members
        begun = datetime.fromtimestamp(run.study_file.stat().st_mtime, UTC)
        self._created = begun.isoformat(timespec="seconds")

    def write(self) -> Iterator[Path]:
        """Every log, as soon as it is written."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for cell, places in self._cells().items():
            samples = [self._sample(self._run.episode(place)) for place in places]
            trial = self._run.episode(places[0]).trial
            file = self._folder / f"{_NOT_IN_A_FILE.sub('-', '_'.join(filter(None, cell)))}.eval"
            self._log.write_eval_log(self._document(trial, cell, samples), str(file))
            yield file

    def _cells(self) -> dict[tuple[str, ...], list[int]]:
        """The places of each cell's episodes: the last word on each trial."""
        last: dict[str, tuple[tuple[str, ...], int]] = {}
        for place, episode in self._run.stored():
            last[episode.trial.id] = _cell(episode.trial), place
        cells: dict[tuple[str, ...], list[int]] = {}
        for cell, place in last.values():
            cells.setdefault(cell, []).append(place)
        return cells

    def _document(self, trial: Trial, cell: tuple[str, ...], samples: Sequence[Any]) -> Any:
        log = self._log
        done = [sample for sample in samples if sample.error is None]
        name = self._run.path.name
        return log.EvalLog(
            status="success",
            eval=log.EvalSpec(
                created=self._created,
                task=trial.task,
                task_id="_".join(cell),
                run_id=name,
                model=self._model_name(trial.agent),
                dataset=log.EvalDataset(name=trial.task, samples=len(samples)),
                config=log.EvalConfig(),
                tags=[name],
                metadata={
                    "phase": trial.phase,
                    "arm": trial.arm,
                    "agent": trial.agent,
                    "memory": trial.memory,
                    "source_agent": trial.source_agent,
                    "source_task": trial.source_task,
                },
            ),
            results=log.EvalResults(
                total_samples=len(samples),
                completed_samples=len(done),
                scores=[self._mean(name, done) for name in ("return", "solved")] if done else [],
            ),
            samples=list(samples),
        )

    def _model_name(self, agent: str) -> str:
        return self._models[self._kinds.get(agent, agent)]

    def _mean(self, name: str, samples: Sequence[Any]) -> Any:
        mean = sum(sample.scores[name].value for sample in samples) / len(samples)
        metric = self._log.EvalMetric(name="mean", value=mean)
        return self._log.EvalScore(name=name, scorer=name, metrics={"mean": metric})

    def _sample(self, episode: Episode) -> Any:
        trial = episode.trial
        known: dict[str, Any] = {
            "id": trial.id,
            "epoch": 1,
            "target": "",
            "metadata": trial.model_dump(mode="json", exclude={"task", "agent"}),
        }
        if episode.error is not None:
            error = self._log.EvalError(message=episode.error, traceback="", traceback_ansi="")
            return self._log.EvalSample(input="", error=error, **known)
        played = episode.trajectory
        messages = self._messages(played)
        model = self._model_name(trial.agent)
        spent = self._model.ModelUsage(
            input_tokens=sum(step.prompt_tokens for step in played.steps),
            output_tokens=sum(step.completion_tokens for step in played.steps),
            total_tokens=sum(step.prompt_tokens + step.completion_tokens for step in played.steps),
        )
        last = played.steps[-1].action if played.steps else ""
        score = self._scorer.Score
        return self._log.EvalSample(
            input=messages[:2],
            messages=messages,
            output=self._model.ModelOutput.from_content(model, last),
            scores={
                "return": score(value=played.total, answer=last, explanation=played.reason),
                "solved": score(value=float(played.solved), explanation=played.reason),
            },
            model_usage={model: spent},
            **known,
        )

    def _messages(self, played: Trajectory) -> list[Any]:
        kinds = self._model
        messages = [kinds.ChatMessageSystem(content=played.rules)]
        for step in played.steps:
            told = {
                "reward": step.reward,
                "skill": step.skill,
                "units": list(step.units),
                "explored": step.explored,
                "logprob": step.logprob,
            }
            said = [kinds.ContentReasoning(reasoning=step.reasoning)] if step.reasoning else []
            said = [*said, kinds.ContentText(text=step.action)] if said else step.action
            messages += [
                kinds.ChatMessageUser(content=step.observation),
                kinds.ChatMessageAssistant(content=said, source="generate", metadata=told),
            ]
        return messages


def _cell(trial: Trial) -> tuple[str, ...]:
    source = f"{trial.source_agent}.{trial.source_task}" if trial.source_agent else ""
    return trial.phase, trial.memory or "", trial.arm, source, trial.agent, trial.task
