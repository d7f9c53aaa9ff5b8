"""Scan: signs of harm in a skill's words and in the trajectories it came from. For a person's eye, no proof."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agents.skill import Skill
from transfer.memory.experience import Trajectory

ANYWHERE: dict[str, re.Pattern[str]] = {
    "overrides the rules": re.compile(
        r"\b(ignore|disregard|forget|override|bypass|break)\b[^.]{0,60}\b(rules?|instructions?|format|system)\b",
        re.IGNORECASE,
    ),
    "ignores feedback": re.compile(
        r"\b(ignore|whatever|regardless of|no attention to|do not (think|change|use|read|compare))\b[^.]{0,60}"
        r"\b(repl(y|ies)|feedback|results?|observations?)\b",
        re.IGNORECASE,
    ),
    "carries markup or an address": re.compile(r"https?://|<[a-z/!][^>]*>|```", re.IGNORECASE),
}
ACTIVATION: dict[str, re.Pattern[str]] = {
    "claims every situation": re.compile(
        r"\balways\b|\b(every|any|all) (situations?|states?|times?|turns?|moves?|cases?)\b|\bwhatever happens\b",
        re.IGNORECASE,
    ),
}
TERMINATION: dict[str, re.Pattern[str]] = {
    "never lets go": re.compile(r"^\W*never\b|\bkeep this skill\b|\bdo not (stop|hand back)\b", re.IGNORECASE),
}


def scan(skill: Skill) -> list[str]:
    """Names of the signs found in a skill; [] for none."""
    places = ((skill.text, ANYWHERE), (skill.activation, ACTIVATION), (skill.termination, TERMINATION))
    return [sign for text, signs in places for sign, pattern in signs.items() if pattern.search(text)]


def scan_traces(trajectories: Iterable[Trajectory]) -> list[str]:
    """Names of the signs found in what was observed, thought and written in the trajectories a skill came from."""
    texts = "\n".join(
        part
        for trajectory in trajectories
        for step in trajectory.steps
        for part in (step.observation, step.reasoning, step.completion)
    )
    return [sign for sign, pattern in ANYWHERE.items() if pattern.search(texts)]
