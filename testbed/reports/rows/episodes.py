"""Rows of an episode: evaluated, learned from, and which units it invoked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from analysis.tables.run import CELL
from testbed.records.side_files.influence import InfluenceLine
from testbed.records.trial import Episode


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


def influence_row(line: InfluenceLine | None) -> dict[str, float | int | None]:
    """What stands of it beside its episode."""
    if line is None:
        return {}
    found = line.differences
    return {
        "influence": sum(found) / len(found) if found else None,
        "influence_steps": len(found),
        "influence_error": line.error,
    }


def invocation_rows(episode: Episode) -> Iterator[dict[str, Any]]:
    if episode.error is not None:
        return
    trial = episode.trial
    cell = trial.model_dump(include={*CELL, "learning_run", "env_seed"})
    calls = Counter(unit for step in episode.trajectory.steps if step.started for unit in step.units)
    for unit, count in calls.items():
        yield {**cell, "unit": unit, "calls": count}


def learning_row(episode: Episode) -> dict[str, Any]:
    trial = episode.trial
    row: dict[str, Any] = trial.model_dump(
        include={"agent", "task", "learning_run", "iteration", "episode", "env_seed", "pool"}
    )
    row |= {"agent": trial.source_agent or trial.agent, "attempt": trial.attempt}
    if episode.error is None:
        row |= {"return": episode.trajectory.total, "solved": episode.trajectory.solved}
    return row | {"error": episode.error}
