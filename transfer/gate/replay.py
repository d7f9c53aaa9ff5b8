"""Replay: the historical actions of a segment as utterances to be scored, under any skill.

An action is scored in the tokens it was drawn in, where the step keeps them: its text may be spelled otherwise, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from agents.models.model import Message, Utterance
from agents.prompts import PastTurn, after_reasoning, conversation, fingerprint, reasoning_request, skill_text
from agents.skill import Skill
from environments import grammar as grammars
from transfer.memory.experience import Segment, Step

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


def prompts(span: Segment, skill: Skill | None) -> list[tuple[Message, ...]]:
    """The prompt of each step of a segment as it would read under `skill`, before any reasoning.

    Where the acting model had dropped its oldest turns to fit its context, as many are dropped here.
    """
    steps = span.trajectory.steps
    turns: list[PastTurn] = [(step.observation, step.action) for step in steps]
    memory = skill_text(skill) if skill is not None else ""
    out: list[tuple[Message, ...]] = []
    for index in range(span.start, span.stop):
        whole = conversation(span.trajectory.rules, memory, turns[:index], steps[index].observation)
        dropped = min(steps[index].dropped_turns, len(whole) - 2)
        out.append((whole[0], *whole[1 + dropped :]))
    return out


def replay(span: Segment, skill: Skill | None, voice: ScoringPolicy, style: str) -> list[Utterance]:
    """One utterance per step of the segment; `style` says whether and how the actor was asked to reason aloud."""
    steps = span.trajectory.steps[span.start : span.stop]
    return [voice.utterance(prompt, step, style) for prompt, step in zip(prompts(span, skill), steps, strict=True)]


def text_only(spans: Iterable[Segment]) -> int:
    """Steps of which the tokens that were drawn are not known."""
    return sum(step.tokens is None for span in spans for step in span.trajectory.steps[span.start : span.stop])


class PromptStyle(NamedTuple):
    name: str
    certain: bool
    """True where the recorded prompt was rebuilt to the letter."""


def style_of(span: Segment, skill: Skill | None) -> PromptStyle:
    """How the recorded moves of a segment were asked for: "direct", "reason" or "react".

    The check behind every ratio: its denominator must be the likelihood under the very prompt that was sent. Where no
    style rebuilds that prompt (another version of the wording, or a prompt that was shortened), the likeliest is taken.
    """
    step = span.trajectory.steps[span.start]
    prompt = prompts(span, skill)[0]
    for style in STYLES:
        if fingerprint(_asked(prompt, step, style)) == step.prompt_digest:
            return PromptStyle(style, True)
    return PromptStyle("reason" if step.reasoning else "direct", False)


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
