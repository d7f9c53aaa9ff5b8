"""An episode for people to read."""

from __future__ import annotations

from analysis.tables.run import Transcript
from testbed.records.trial import Episode


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
