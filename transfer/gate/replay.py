"""Replay: the historical actions of a segment as utterances to be scored, under any skill.

An action is scored in the tokens it was drawn in, where the step keeps them: its text may be spelled otherwise, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agents.models.model import Message, Utterance
from agents.prompts import (
    KeptThoughts,
    PastTurn,
    after_reasoning,
    conversation,
    fingerprint,
    reasoning_request,
    skill_text,
)
from agents.skill import Skill
from environments import grammar as grammars
from transfer.memory.experience import Segment, Step, Trajectory

STYLES = ("direct", "reason", "react")
"""Ways of asking for a move; the recorded prompt digest tells which one it was."""


class ScoringPolicy(Protocol):
    """Which conditional probability of an action an importance ratio is made of."""

    def utterance(self, prompt: tuple[Message, ...], step: Step, style: str) -> Utterance: ...


@dataclass(frozen=True)
class RawModel:
    """The bare model's likelihood of the action, given its recorded reasoning where there was any."""

    given_reasoning: bool = True

    def utterance(self, prompt: tuple[Message, ...], step: Step, style: str) -> Utterance:
        return Utterance(
            _asked(prompt, step, style if self.given_reasoning else "direct"), _said(step), tokens=step.tokens
        )


@dataclass(frozen=True)
class ActingPolicy:
    """The likelihood under the policy that really acted: its grammar mask and temperature.

    Only then is ρ an importance ratio. A greedy policy (temperature 0) has none; its actions are scored at 1.
    """

    temperature: float = 0.6
    given_reasoning: bool = True

    def utterance(self, prompt: tuple[Message, ...], step: Step, style: str) -> Utterance:
        grammar = grammars.load(step.grammar) if step.grammar is not None else None
        messages = _asked(prompt, step, style if self.given_reasoning else "direct")
        return Utterance(messages, _said(step), grammar, self.temperature or 1.0, step.tokens)


def prompts(span: Segment, skill: Skill | None, kept: str | None = None) -> list[tuple[Message, ...]]:
    """The prompt of each step of a segment as it would read under `skill`, before any reasoning of that step.

    Where the acting model had dropped its oldest turns to fit its context, as many are dropped here. `kept` is the
    style in which it had thought aloud before, where its thoughts stayed in the conversation.
    """
    memory = _words(skill)
    return [prompt_at(span.trajectory, index, memory, kept) for index in range(span.start, span.stop)]


def prompt_at(trajectory: Trajectory, index: int, memory: str, kept: str | None = None) -> tuple[Message, ...]:
    """The prompt of one step as it would read with this text of a memory in it; else as `prompts`."""
    step, past = trajectory.steps[index], trajectory.steps[:index]
    turns: list[PastTurn] = [(each.observation, each.action) for each in past]
    thoughts = None if kept is None else KeptThoughts(kept, [each.reasoning for each in past])
    whole = conversation(trajectory.rules, memory, turns, step.observation, thoughts)
    dropped = min(step.dropped_turns, len(whole) - 2)
    return (whole[0], *whole[1 + dropped :])


def replay(
    span: Segment, skill: Skill | None, voice: ScoringPolicy, style: str, *, kept: bool = False
) -> list[Utterance]:
    """One utterance per step of the segment; `style` says whether and how the actor was asked to reason aloud, `kept`
    whether its earlier thoughts stood in the prompt.
    """
    steps = span.trajectory.steps[span.start : span.stop]
    asked = prompts(span, skill, style if kept else None)
    return [voice.utterance(prompt, step, style) for prompt, step in zip(asked, steps, strict=True)]


def text_only(spans: Iterable[Segment]) -> int:
    """Steps of which the tokens that were drawn are not known."""
    return sum(step.tokens is None for span in spans for step in span.trajectory.steps[span.start : span.stop])


class PromptStyle(NamedTuple):
    name: str
    certain: bool
    """True where the recorded prompt was rebuilt to the letter."""
    kept: bool = False
    """Earlier thoughts stood in the prompt."""


REBUILT = (
    *(PromptStyle(style, True) for style in STYLES),
    *(PromptStyle(style, True, True) for style in STYLES if style != "direct"),
)
"""Every way in which a prompt may be rebuilt."""


def style_of(span: Segment, skill: Skill | None) -> PromptStyle:
    """How the recorded moves of a segment were asked for: "direct", "reason" or "react".

    The check behind every ratio: its denominator must be the likelihood under the very prompt that was sent. Where no
    style rebuilds that prompt (another version of the wording, or a prompt that was shortened), the likeliest is taken.
    An episode's first prompt does not tell whether thoughts are kept; the segment's last one does.
    """
    memory = _words(skill)
    found = [each for each in REBUILT if was_sent(span.trajectory, span.start, memory, each)]
    if len(found) > 1:
        found = [each for each in found if was_sent(span.trajectory, span.stop - 1, memory, each)] or found
    reasoned = span.trajectory.steps[span.start].reasoning
    return found[0] if found else PromptStyle("reason" if reasoned else "direct", False)


def was_sent(trajectory: Trajectory, index: int, memory: str, style: PromptStyle) -> bool:
    """Whether a step was asked for in exactly this way, with this text of a memory in its prompt."""
    step = trajectory.steps[index]
    prompt = prompt_at(trajectory, index, memory, style.name if style.kept else None)
    return fingerprint(_asked(prompt, step, style.name)) == step.prompt_digest


def _words(skill: Skill | None) -> str:
    return "" if skill is None else skill_text(skill)


def _asked(prompt: tuple[Message, ...], step: Step, style: str) -> tuple[Message, ...]:
    return prompt if style == "direct" else after_reasoning(reasoning_request(prompt, style), step.reasoning)


def _said(step: Step) -> str:
    return step.completion or step.action


ScoringPolicyFactory = Callable[[float, bool], ScoringPolicy]
"""Makes a scoring policy from the temperature of the moves, and whether their recorded reasoning is given."""

SCORING_POLICIES: dict[str, ScoringPolicyFactory] = {
    "policy": ActingPolicy,
    "raw": lambda temperature, given: RawModel(given),
}
