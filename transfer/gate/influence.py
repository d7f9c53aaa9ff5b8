"""Influence: by how much the units in a prompt changed the likelihood of the action that was taken.

At every exposed step log π(a | with the units) − log π(a | without), by the frozen model that acted, under the grammar
and the temperature it acted with, as the gate's ratios are. All else of the prompt stays: the turns, what was dropped
of them, and what was thought aloud before the move (so of a thinking agent it is the influence beside that of its
thought). Where actions are drawn from π(· | with), its expectation is the Kullback-Leibler divergence of the two: 0
where the units change nothing, and otherwise positive, whether they help or mislead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agents.models.model import Utterance
from agents.prompts import skill_text
from transfer.gate.replay import REBUILT, PromptStyle, ScoringPolicy, prompt_at, was_sent
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Memory, UnitMemory
from transfer.memory.pool import SkillPool


class Exposure(NamedTuple):
    """A step whose prompt held units: its action after that prompt, and after the same without them."""

    step: int
    shown: Utterance
    hidden: Utterance


class Exposures(NamedTuple):
    """The exposed steps of an episode."""

    found: tuple[Exposure, ...]
    left_out: tuple[int, ...]
    """Those whose prompt cannot be rebuilt to the letter from `memory`: their influence is not known."""


def exposures(trajectory: Trajectory, memory: Memory, voice: ScoringPolicy) -> Exposures:
    """Every exposed step of an episode that was played with `memory`, ready to be scored.

    A prompt counts as rebuilt where it has the digest of the one that was sent.
    """
    found: list[Exposure] = []
    left_out: list[int] = []
    style = REBUILT[0]
    for index, text in _shown(trajectory, memory):
        ways = () if text is None else (style, *REBUILT)
        sent = next((way for way in ways if was_sent(trajectory, index, text or "", way)), None)
        if text is None or sent is None:
            left_out.append(index)
            continue
        style = sent
        found.append(Exposure(index, *(_utterance(trajectory, index, words, style, voice) for words in (text, ""))))
    return Exposures(tuple(found), tuple(left_out))


def _utterance(trajectory: Trajectory, index: int, memory: str, style: PromptStyle, voice: ScoringPolicy) -> Utterance:
    prompt = prompt_at(trajectory, index, memory, style.name if style.kept else None)
    return voice.utterance(prompt, trajectory.steps[index], style.name)


def _shown(trajectory: Trajectory, memory: Memory) -> Iterator[tuple[int, str | None]]:
    """Each exposed step with the memory's text in its prompt; None where that is not known."""
    written = ""
    for index, step in enumerate(trajectory.steps):
        if step.started:
            written = step.written
        if step.units:
            yield index, written or _words(memory, step.units)


def _words(memory: Memory, ids: Sequence[str]) -> str | None:
    if isinstance(memory, SkillPool):
        return skill_text(memory.get(ids[0])) if ids[0] in memory else None
    if not isinstance(memory, UnitMemory):
        return None
    units = {unit.id: unit for unit in memory.units}
    return memory.words([units[id] for id in ids]) if all(id in units for id in ids) else None
