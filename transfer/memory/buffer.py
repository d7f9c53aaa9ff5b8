"""The trajectory buffer of a skill: which of its episodes an evolution looks at."""

from __future__ import annotations

from collections.abc import Sequence

from transfer.learner import Recall
from transfer.memory.experience import Segment, Trajectory, segments


def extremes(trajectories: Sequence[Trajectory], size: int) -> list[Trajectory]:
    """The best and the worst halves (paper: successes to distil, failures to repair), in the order they were played."""
    ranked = sorted(range(len(trajectories)), key=lambda index: (trajectories[index].total, index))
    half = size // 2
    chosen = {*ranked[: size - half], *ranked[max(0, len(ranked) - half) :]}
    return [trajectories[index] for index in sorted(chosen)]


def recalled(ids: Sequence[str], recall: Recall) -> list[Trajectory]:
    """The trajectories that are still stored."""
    found: list[Trajectory] = []
    for id in ids:
        try:
            found.append(recall(id))
        except KeyError:
            continue
    return found


def controlled(trajectory: Trajectory, skill: str) -> list[Segment]:
    """The segments in which `skill` was active."""
    return [span for span in segments(trajectory) if span.skill == skill]
