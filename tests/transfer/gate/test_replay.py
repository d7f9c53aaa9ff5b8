"""The prompts behind every ratio are the very prompts that were sent: real agent, real loop, scripted model."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest

from agents.agent import REASONING, Aloud, Reasoning, SkillAgent
from agents.models.model import Completion, Request, Sampling
from agents.models.scripted import ScriptedModel, scripted, uniform
from agents.options import ByAge, SkillOptions
from agents.prompts import fingerprint
from agents.selection import AtRandom
from environments import grammar as grammars
from environments.registry import ENVIRONMENTS
from testbed.play.engines.rollout import play
from transfer.gate.replay import ActingPolicy, PromptStyle, RawModel, prompts, replay, style_of, text_only
from transfer.memory.experience import Segment, Trajectory, segments
from transfer.memory.seed_pool import SEEDS

BY_ID = {seed.id: seed for seed in SEEDS}


class Thinker(ScriptedModel):
    """The random player, with a thought of its own at each step."""

    def __init__(self) -> None:
        super().__init__("thinker", uniform)
        self._thoughts = itertools.count()

    async def generate(self, request: Request) -> Completion:
        if request.grammar is None:
            return Completion(f"Thought {next(self._thoughts)}.", 1, 2)
        return await super().generate(request)


def played(style: str | Reasoning = "direct", environment: str = "Doors-v0-long") -> Trajectory:
    """An episode in which skills change every two steps."""
    rng = np.random.default_rng(3)
    model = Thinker()
    guide = SkillOptions(SEEDS, AtRandom(), ByAge(), rng, max_age=2)
    reasoning = REASONING[style] if isinstance(style, str) else style
    agent = SkillAgent("p", model, guide, rng, reasoning=reasoning, sampling=Sampling())
    spec = ENVIRONMENTS[environment]
    (seat,) = spec.make().possible_agents
    episodes = asyncio.run(play(spec, {seat: agent}, 1, trial="trial", names={seat: "p"}))
    return episodes[seat]


@pytest.mark.parametrize("style", ["direct", "cot", "react"])
def test_every_recorded_prompt_is_rebuilt_to_the_letter(style):
    trajectory = played(style)
    spans = list(segments(trajectory))
    assert len(spans) > 2
    name = {"direct": "direct", "cot": "reason", "react": "react"}[style]
    assert {style_of(span, BY_ID[span.skill]) for span in spans} == {PromptStyle(name, True)}


@pytest.mark.parametrize("style", ["reason", "react"])
def test_prompts_with_kept_thoughts_are_rebuilt_to_the_letter(style):
    trajectory = played(Aloud(style, keep=True))
    spans = list(segments(trajectory))
    assert len(spans) > 2
    assert spans[0].stop > 1
    for span in spans:
        assert style_of(span, BY_ID[span.skill]) == PromptStyle(style, True, kept=True)
        steps = trajectory.steps[span.start : span.stop]
        scored = replay(span, BY_ID[span.skill], ActingPolicy(), style, kept=True)
        assert [fingerprint(each.messages) for each in scored] == [step.prompt_digest for step in steps]


def test_an_episode_of_one_move_does_not_tell_whether_thoughts_are_kept():
    trajectory = played(Aloud("react", keep=True))
    (first, *_) = segments(trajectory)
    alone = Segment(trajectory, first.skill, 0, 1)
    assert style_of(alone, BY_ID[first.skill]) == PromptStyle("react", True)


def test_another_skill_gives_another_prompt_and_is_not_mistaken_for_the_recorded_one():
    span = next(iter(segments(played())))
    other = next(seed for seed in SEEDS if seed.id != span.skill)
    assert not style_of(span, other).certain
    assert prompts(span, other) != prompts(span, BY_ID[span.skill])
    assert prompts(span, other)[0][1:] == prompts(span, BY_ID[span.skill])[0][1:]


def test_acting_policy_has_grammar_and_temperature_and_the_raw_model_neither():
    span = list(segments(played()))[1]
    steps = span.trajectory.steps[span.start : span.stop]
    for step, policy, raw in zip(
        steps,
        replay(span, BY_ID[span.skill], ActingPolicy(0.7), "direct"),
        replay(span, BY_ID[span.skill], RawModel(), "direct"),
        strict=True,
    ):
        assert policy.text == raw.text == step.completion
        assert policy.grammar == grammars.load(step.grammar or "")
        assert (policy.temperature, raw.temperature, raw.grammar) == (0.7, 1.0, None)


def test_likelihood_of_the_replay_is_the_one_recorded_while_acting():
    """With closed-form likelihoods: the denominator of the ratio equals what the acting policy reported."""
    trajectory = played()
    model = scripted("random")
    for span in segments(trajectory):
        utterances = replay(span, BY_ID[span.skill], ActingPolicy(), "direct")
        scored = asyncio.run(model.score(utterances))
        for step, likelihood in zip(trajectory.steps[span.start : span.stop], scored, strict=True):
            assert likelihood.total == pytest.approx(step.policy_logprob)


def test_reasoning_is_given_back_or_left_out():
    trajectory = played()
    steps = tuple(step.model_copy(update={"reasoning": "hm"}) for step in trajectory.steps)
    span = next(iter(segments(trajectory.model_copy(update={"steps": steps}))))
    given = replay(span, None, ActingPolicy(given_reasoning=True), "react")[0]
    bare = replay(span, None, ActingPolicy(given_reasoning=False), "react")[0]
    assert given.messages[-2].content == "hm"
    assert bare.messages == prompts(span, None)[0]
    assert replay(span, None, RawModel(given_reasoning=True), "react")[0].messages == given.messages
    assert replay(span, None, RawModel(given_reasoning=False), "react")[0].messages == bare.messages


def test_turns_that_were_dropped_while_acting_are_dropped_again():
    trajectory = played()
    steps = list(trajectory.steps)
    steps[1] = steps[1].model_copy(update={"dropped_turns": 2})
    span = next(iter(segments(trajectory.model_copy(update={"steps": tuple(steps)}))))
    first, second = prompts(span, None)
    assert len(second) == 2  # system and the last observation
    assert second[-1].content == steps[1].observation
    assert len(first) == 2


def test_an_action_is_scored_in_the_tokens_it_was_drawn_in():
    game = played()
    first, *others = game.steps
    steps = (first.model_copy(update={"tokens": (3, 1, 4)}), *others)
    span = Segment(game.model_copy(update={"steps": steps}), "skill", 0, len(steps))
    for voice in (RawModel(), ActingPolicy()):
        said = replay(span, None, voice, "direct")
        assert [each.tokens for each in said] == [(3, 1, 4), *(None for _ in others)]
    assert text_only([span, span]) == 2 * len(others)


def test_moves_of_a_greedy_policy_are_scored_at_temperature_one():
    span = next(iter(segments(played())))
    assert {each.temperature for each in replay(span, None, ActingPolicy(0.0), "direct")} == {1.0}


def test_what_is_scored_is_what_the_model_wrote_or_where_that_is_unknown_the_move():
    trajectory = played()
    first, *rest = trajectory.steps
    silent = first.model_copy(update={"completion": "", "grammar": None})
    span = next(iter(segments(trajectory.model_copy(update={"steps": (silent, *rest)}))))
    one, other, *_ = replay(span, None, ActingPolicy(), "direct")
    assert (one.text, one.grammar) == (first.action, None)
    assert other.text == rest[0].completion
    assert "Use this skill" not in one.messages[0].content
    assert one.messages[0].content == trajectory.rules


def test_an_unknown_prompt_is_taken_for_the_likeliest_style():
    trajectory = played()
    for reasoning, name in (("hm", "reason"), ("", "direct")):
        changed = {"prompt_digest": "another", "reasoning": reasoning}
        steps = tuple(step.model_copy(update=changed) for step in trajectory.steps)
        span = next(iter(segments(trajectory.model_copy(update={"steps": steps}))))
        assert style_of(span, BY_ID[span.skill]) == PromptStyle(name, False)


def test_a_later_turn_keeps_the_newest_of_what_came_before():
    trajectory = played()
    assert len(trajectory.steps) > 3
    steps = list(trajectory.steps)
    steps[3] = steps[3].model_copy(update={"dropped_turns": 2})
    changed = trajectory.model_copy(update={"steps": tuple(steps)})
    span = next(each for each in segments(changed) if each.start <= 3 < each.stop)
    prompt = prompts(span, None)[3 - span.start]
    kept = [step.observation for step in steps[1:4]]
    assert [message.content for message in prompt if message.role == "user"] == kept
