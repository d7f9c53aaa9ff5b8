"""Credit: how much a skill gained over the running baseline, per trajectory (paper sections 4.4 and 4.5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from transfer.memory.events.contents import BaselineMoved, Scored
from transfer.memory.events.course import Skipped
from transfer.memory.events.event import Event
from transfer.memory.experience import Trajectory
from transfer.memory.state import Baseline, LearnerState, Score


class BaselineRule(Protocol):
    """How R̄ of a task follows the returns of new episodes."""

    def update(self, old: Baseline | None, returns: Sequence[float]) -> Baseline: ...


@dataclass(frozen=True)
class RunningMean:
    """The plain mean of all returns so far."""

    def update(self, old: Baseline | None, returns: Sequence[float]) -> Baseline:
        known = old.n if old else 0
        total = (old.mean * known if old else 0.0) + math.fsum(returns)
        return Baseline(mean=total / (known + len(returns)), n=known + len(returns))


@dataclass(frozen=True)
class MovingAverage:
    """Exponential moving average, as released (α = .1); the first batch's mean starts it."""

    alpha: float = 0.1

    def update(self, old: Baseline | None, returns: Sequence[float]) -> Baseline:
        mean = old.mean if old else math.fsum(returns) / len(returns)
        for value in returns if old else ():
            mean += self.alpha * (value - mean)
        return Baseline(mean=mean, n=(old.n if old else 0) + len(returns))


class Credit(Protocol):
    """What one trajectory adds to the score of each skill that was active in it."""

    def __call__(self, trajectory: Trajectory, baseline: float) -> Mapping[str, Score]: ...


@dataclass(frozen=True)
class StepMean:
    """Paper: the mean over the steps where ω is active of r̃_t = r_t − r̄; N counts trajectories.

    r̄ = R̄/|τ|. With a terminal return only, every step carries r̃_t = (R(τ) − R̄)/|τ|.
    """

    def __call__(self, trajectory: Trajectory, baseline: float) -> Mapping[str, Score]:
        steps = trajectory.steps
        terminal = all(step.reward == 0 for step in steps[:-1])
        mean = trajectory.total / len(steps) if terminal else None
        out: dict[str, Score] = {}
        for skill in {step.skill for step in steps if step.skill}:
            active = [step for step in steps if step.skill == skill]
            paid = mean if mean is not None else math.fsum(step.reward for step in active) / len(active)
            gain = paid - baseline / len(steps)
            out[skill] = Score(gain=gain, n=1, calls=sum(step.started for step in active), steps=len(active))
        return out


@dataclass(frozen=True)
class PerCall:
    """As released: R(τ) − R̄ shared equally among all skill calls of the trajectory; N counts calls."""

    def __call__(self, trajectory: Trajectory, baseline: float) -> Mapping[str, Score]:
        calls = [step.skill for step in trajectory.steps if step.started and step.skill]
        share = (trajectory.total - baseline) / max(1, len(calls))
        return {
            skill: Score(
                gain=share * calls.count(skill),
                n=calls.count(skill),
                calls=calls.count(skill),
                steps=sum(step.skill == skill for step in trajectory.steps),
            )
            for skill in dict.fromkeys(calls)
        }


def usable(trajectory: Trajectory) -> bool:
    """Whether anything can be learnt from it: it has steps, and all its numbers are finite."""
    rewards = [step.reward for step in trajectory.steps]
    return bool(rewards) and all(map(math.isfinite, [*rewards, trajectory.total]))


def observe(
    state: LearnerState, fresh: Sequence[Trajectory], credit: Credit, rule: BaselineRule
) -> tuple[LearnerState, list[Event]]:
    """Baselines first, then scores, then buffers; trajectories without a usable number are skipped, and said so.

    The new episodes count in the baseline they are compared with, so that a first batch is judged against itself.
    """
    now = state.iteration + 1
    events: list[Event] = [
        Skipped(iteration=now, trajectories=(t.id,), why="no steps or a non-finite reward")
        for t in fresh
        if not usable(t)
    ]
    good = [trajectory for trajectory in fresh if usable(trajectory)]
    baselines = dict(state.baselines)
    for task in dict.fromkeys(t.task for t in good):
        baselines[task] = rule.update(baselines.get(task), [t.total for t in good if t.task == task])
        events.append(BaselineMoved(iteration=now, task=task, mean=baselines[task].mean, n=baselines[task].n))

    scores, buffer = dict(state.scores), dict(state.buffer)
    for trajectory in good:
        for skill, part in sorted(credit(trajectory, baselines[trajectory.task].mean).items()):
            if skill in state.pool:
                scores[skill] = _added(scores.get(skill, Score()), part)
                buffer[skill] = (*buffer.get(skill, ()), trajectory.id)
    for skill in state.pool.ids:
        if skill in scores:
            score = scores[skill]
            events.append(Scored(iteration=now, skill=skill, **score.model_dump(), value=score.value))
    return state.model_copy(update={"baselines": baselines, "scores": scores, "buffer": buffer}), events


def _added(left: Score, right: Score) -> Score:
    return Score(
        gain=left.gain + right.gain,
        n=left.n + right.n,
        calls=left.calls + right.calls,
        steps=left.steps + right.steps,
    )


CREDITS: dict[str, Callable[[], Credit]] = {"step-mean": StepMean, "per-call": PerCall}

BaselineFactory = Callable[[float], BaselineRule]
"""Makes a rule for R̄ from the weight α of a new return."""

BASELINES: dict[str, BaselineFactory] = {
    "running-mean": lambda alpha: RunningMean(),
    "moving-average": MovingAverage,
}
