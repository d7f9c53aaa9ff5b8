"""A run's records as the tables that analysis reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.tables.run import CELL, EPISODES, EVENTS, INVOCATIONS, LEARNING, POOLS, Tables, Transcript
from environments.registry import ENVIRONMENTS
from testbed.records.run_directory import Committed, Gathered, Line, Recorded, RunDirectory, StudyRecord, Told
from testbed.records.trial import Episode
from testbed.reports.population_tables import pool_rows
from testbed.studies.learn import Source

SAMPLED_TRANSCRIPTS = 12
"""Transcripts a report shows: the first evaluated episode of as many different cells."""


def load_run(path: Path | str) -> Tables:
    """The tables of one run directory. Raises StoreError or TableError in one sentence."""
    run = RunDirectory.open(Path(path))
    study = run.study()
    name = study.config["study"]
    evaluated: list[dict[str, Any]] = []
    invoked: list[dict[str, Any]] = []
    learned: list[dict[str, Any]] = []
    samples: dict[tuple[Any, ...], Transcript] = {}
    for episode in run.episodes():
        trial = episode.trial
        if trial.phase == "learn" and name != "population":  # whose rounds `testbed.reports.population_tables` tells
            learned.append(_learning_row(episode))
        if trial.phase != "evaluate":
            continue
        evaluated.append({"study": name, "run": run.path.name, **_episode_row(episode)})
        invoked += _invocation_rows(episode)
        cell = (trial.arm, trial.agent, trial.task)
        if episode.error is None and cell not in samples and len(samples) < SAMPLED_TRANSCRIPTS:
            samples[cell] = transcript(episode)
    return Tables.of(
        _frame(evaluated, EPISODES),
        invocations=_frame(invoked, INVOCATIONS),
        pools=_frame([*_pool_rows(run.learner_states().values(), run), *pool_rows(run)], POOLS),
        learning=_frame(learned, LEARNING),
        events=_frame(_event_rows(run.events()), EVENTS),
        transcripts=list(samples.values()),
        versions=_versions(study),
        ranges=_ranges(study),
    )


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
        if step.reasoning:
            lines.append(("reasoning", step.reasoning))
        lines.append(("action", step.action))
        if step.reward:
            lines.append(("reward", f"{step.reward:+.3f}"))
    ending = f"return {trajectory.total:.3f}, {'solved' if trajectory.solved else 'not solved'}. {trajectory.reason}"
    return Transcript(title, (*lines, ("end", ending)))


def _frame(rows: Iterable[Mapping[str, Any]], columns: Iterable[Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=[column.name for column in columns])


def _episode_row(episode: Episode) -> dict[str, Any]:
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
        "calls": sum(step.calls for step in steps),
        "dropped_turns": sum(step.dropped_turns for step in steps),
    }


def _invocation_rows(episode: Episode) -> Iterator[dict[str, Any]]:
    if episode.error is not None:
        return
    trial = episode.trial
    cell = trial.model_dump(include={*CELL, "learning_run", "env_seed"})
    calls = Counter(step.skill for step in episode.trajectory.steps if step.started and step.skill)
    for unit, count in calls.items():
        yield {**cell, "unit": unit, "calls": count}


def _learning_row(episode: Episode) -> dict[str, Any]:
    trial = episode.trial
    row: dict[str, Any] = trial.model_dump(
        include={"agent", "task", "learning_run", "iteration", "episode", "env_seed"}
    )
    if episode.error is None:
        row |= {"return": episode.trajectory.total, "solved": episode.trajectory.solved}
    return row


def _pool_rows(states: Iterable[Committed], run: RunDirectory) -> Iterator[dict[str, Any]]:
    seeds = {event.skill for event in run.events() if isinstance(event, Recorded) and event.kind == "seeded"}
    for committed in states:
        source = Source.of(committed.learner)
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


def _event_rows(events: Iterable[Line]) -> Iterator[dict[str, Any]]:
    for order, event in enumerate(events):
        if isinstance(event, Committed | Gathered | Told):
            continue
        payload = event.payload
        yield {
            "kind": event.kind,
            "order": order,
            **Source.of(event.learner)._asdict(),
            "iteration": event.iteration,
            "unit": event.skill,
            "parents": " ".join(event.parents),
            "J": payload.get("J"),
            "delta_J": payload.get("delta_J"),
            "noise": payload.get("noise"),
            "verdict": payload.get("outcome"),
            "score": payload.get("score", payload.get("value")),
            "text": payload.get("reason", payload.get("why")),
        }


def _ranges(study: StudyRecord) -> dict[str, tuple[float, float]]:
    """Of the tasks that this installation knows; a report imports no code that a run directory names."""
    names = [str(task["environment"]) for task in study.config["tasks"]]
    return {name: ENVIRONMENTS[name].reward_range for name in names if name in ENVIRONMENTS}


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
    }
