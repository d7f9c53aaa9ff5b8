"""One seat's player: what it is told, what it does, and that AutoGen takes it for one of its own."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import anyio
import numpy as np
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import StructuredMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, SystemMessage, UserMessage
from autogen_core.tools import FunctionTool
from pydantic import BaseModel

from agents.agent import REASONING, Aloud, DecisionMessage, ObservationMessage, SkillAgent
from agents.decision import Decision, Observation
from agents.guide import Guidance, NoGuide
from agents.models.adapters.autogen import AutoGenClient
from agents.models.model import Completion, Message, ModelError, Request, Sampling
from agents.models.scripted import ScriptedModel, scripted, uniform
from agents.options import ByAge, SkillOptions
from agents.prompts import conversation, fingerprint, skill_text
from agents.selection import AtRandom, Selection
from environments.grammar import Choices, Regex, dump
from transfer.memory.seed_pool import SEEDS

GRAMMAR = Choices(("[heads]", "[tails]"))


def seen(text: str = "Your call?") -> Observation:
    return Observation(text=text, rules="Call the coin.", grammar=dump(GRAMMAR))


class Recording(ScriptedModel):
    """The random model, remembering what it was asked."""

    def __init__(self) -> None:
        super().__init__("recording", uniform)
        self.asked: list[Request] = []
        self.counted = 0

    async def generate(self, request: Request) -> Completion:
        self.asked.append(request)
        return await super().generate(request)

    def count(self, text: str) -> int:
        self.counted += 1
        return super().count(text)


def agent(model, guide=None, seed=0, **options) -> SkillAgent:
    return SkillAgent("player_0", model, guide or NoGuide(), np.random.default_rng(seed), **options)


def decide(player: SkillAgent, *texts: str) -> list[Decision]:
    async def main():
        return [await player.decide(seen(text)) for text in texts]

    return anyio.run(main)


def test_the_prompt_of_a_step_extends_that_of_the_step_before():
    model = Recording()
    decisions = decide(agent(model, session="s"), "one", "two", "three")
    prompts = [request.messages for request in model.asked]
    for now, then, decision in zip(prompts, prompts[1:], decisions, strict=False):
        assert then[: len(now)] == now
        assert then[len(now)] == Message("assistant", decision.action)
    assert prompts[0] == (Message("system", "Call the coin."), Message("user", "one"))
    assert {request.session for request in model.asked} == {"s"}
    assert [decision.prompt_digest for decision in decisions] == [fingerprint(prompt) for prompt in prompts]
    assert len({request.sampling.seed for request in model.asked}) == 3


def test_a_decision_tells_how_it_came_to_be():
    model = Recording()
    options = SkillOptions(SEEDS, AtRandom(), ByAge(), np.random.default_rng(0), max_age=2)
    player = agent(model, options, sampling=Sampling(0.7, 0.9, 5))
    first, second, third = decide(player, "one", "two", "three")
    assert (first.started, second.started, third.started) == (True, False, True)
    assert first.units == (first.skill,) == second.units
    skill = next(each for each in SEEDS if each.id == first.skill)
    assert model.asked[0].messages[0].content == f"Call the coin.\n\n{skill_text(skill)}"
    assert first.memory_tokens == second.memory_tokens == model.count(skill_text(skill))
    assert first.action == first.completion
    assert first.action in GRAMMAR.options
    assert first.grammar == dump(GRAMMAR)
    assert first.logprob == pytest.approx(np.log(0.5))
    assert first.calls == 1
    assert model.asked[0].grammar == GRAMMAR
    assert (model.asked[0].sampling.temperature, model.asked[0].sampling.max_tokens) == (0.7, 5)


def test_the_same_generator_is_the_same_play():
    texts = ["one", "two", "three", "four"]
    assert decide(agent(Recording(), seed=3), *texts) == decide(agent(Recording(), seed=3), *texts)


@pytest.mark.parametrize(("style", "asks"), [("cot", "Think briefly"), ("react", "'Thought:'")])
def test_thinking_aloud_costs_a_call_and_stays_out_of_the_conversation(style, asks):
    model = Recording()

    async def thoughtful(request):
        model.asked.append(request)
        return Completion("hm, heads" if request.grammar is None else "[heads]", 9, 3)

    model.generate = thoughtful
    first, _ = decide(agent(model, reasoning=REASONING[style]), "one", "two")
    assert (first.reasoning, first.action, first.calls, first.completion_tokens) == ("hm, heads", "[heads]", 2, 6)
    thinking, moving, thinking_again, _ = model.asked
    assert asks in thinking.messages[-1].content
    assert moving.messages[: len(thinking.messages)] == thinking.messages
    assert moving.messages[-2] == Message("assistant", "hm, heads")
    assert thinking_again.messages[1:3] == (Message("user", "one"), Message("assistant", "[heads]"))
    assert not any("hm" in message.content for message in thinking_again.messages)


@pytest.mark.parametrize("style", ["cot", "react"])
@pytest.mark.parametrize("keep", [False, True])
def test_a_thought_is_found_in_the_next_prompt_where_it_is_kept(style, keep):
    model = Recording()

    async def thoughtful(request):
        model.asked.append(request)
        return Completion(f"thought {len(model.asked)}" if request.grammar is None else "[heads]", 9, 3)

    model.generate = thoughtful
    reasoning = REASONING[style]
    assert isinstance(reasoning, Aloud)
    decisions = decide(agent(model, reasoning=replace(reasoning, keep=keep)), "one", "two", "three")
    moves = model.asked[1::2]
    assert ["thought 1" in repr(request.messages) for request in moves] == [True, keep, keep]
    for earlier, later in itertools.pairwise(moves):
        extended = later.messages[: len(earlier.messages)] == earlier.messages
        assert extended == keep, "a prompt extends the one before, so that a model may keep its prefix"
    assert [step.thought_tokens for step in decisions] == [3, 3, 3]
    assert [step.prompt_digest for step in decisions] == [fingerprint(request.messages) for request in moves]


def test_a_kept_thought_does_not_outlive_its_episode():
    player = agent(Recording(), reasoning=Aloud("react", keep=True))
    decide(player, "one")

    async def another() -> Decision:
        await player.on_reset(CancellationToken())
        return await player.decide(seen("one"))

    model = player._model  # pyright: ignore[reportPrivateUsage]
    assert isinstance(model, Recording)
    anyio.run(another)
    assert model.asked[0].messages == model.asked[2].messages


def test_a_past_turn_with_its_thought_is_no_longer_than_reckoned():
    reasoning = Aloud("reason", max_tokens=7, keep=True)
    model = Recording()
    bare = conversation("r", "", [("o", "m")], "now")
    kept = conversation("r", "", [("o", "m")], "now", reasoning.kept(["a b c d e f g"]))
    longer = sum(model.count(message.content) for message in kept) - sum(model.count(each.content) for each in bare)
    assert 0 < longer <= reasoning.kept_tokens(model)
    assert Aloud("reason").kept_tokens(model) == REASONING["direct"].kept_tokens(model) == 0


def test_free_text_is_trimmed_and_constrained_text_is_not():
    model = scripted("random")

    async def generate(request):
        return Completion("  go \n", 1, 1)

    model.generate = generate
    free = anyio.run(agent(model).decide, Observation(text="x", rules="r"))
    bound = anyio.run(agent(model).decide, Observation(text="x", rules="r", grammar=dump(Regex(" *go *\n"))))
    assert (free.action, bound.action) == ("go", "  go \n")
    assert free.completion == "  go \n"


def test_half_a_character_never_reaches_a_record():
    assert Completion("ok \ud83d ✓", 1, 1).text == "ok ? ✓"


def test_skills_are_counted_once_while_they_stay():
    class Same:
        async def guide(self, state):
            return Guidance("some advice", ("x",), "x")

    model = Recording()
    counted = []
    for _ in range(2):
        decide(agent(model, Same()), "one", "two", "three")
        counted.append(model.counted)
    prompts = sum(len(request.messages) + 1 for request in model.asked)  # every message and answer, by the model itself
    assert model.counted == prompts + 2


# -- AutoGen ------------------------------------------------------------------------------------------------------

TOKEN = CancellationToken()


def test_on_messages_answers_the_last_observation():
    player = agent(scripted("random"))

    async def main():
        sent = [
            ObservationMessage(content=seen("one"), source="environment"),
            ObservationMessage(content=seen("two"), source="environment"),
            DecisionMessage(content=Decision(action="[heads]"), source="other"),
        ]
        response = await player.on_messages(sent, TOKEN)
        assert isinstance(response.chat_message, DecisionMessage)
        assert response.chat_message.source == "player_0"
        for wrong in ([], [TextMessage(content="hello", source="user")]):
            with pytest.raises(TypeError, match=r"StructuredMessage\[Observation\]"):
                await player.on_messages(wrong, TOKEN)
        return player._turns

    assert [text for text, _ in anyio.run(main)] == ["two"]


def test_a_reset_forgets_the_conversation():
    model = Recording()
    player = agent(model)
    decide(player, "one", "two")
    anyio.run(player.on_reset, TOKEN)
    decide(player, "three")
    assert [message.content for message in model.asked[-1].messages] == ["Call the coin.", "three"]


def test_a_reset_ends_the_skill_under_way():
    """The next episode chooses anew: no skill goes on from the last one."""

    class First:
        async def select(self, state, skills, rng):
            return Selection(skills[0])

    guide = SkillOptions(SEEDS, First(), ByAge(), np.random.default_rng(0), max_age=9)
    player = agent(Recording(), guide)
    assert [each.started for each in decide(player, "one", "two")] == [True, False]
    anyio.run(player.on_reset, TOKEN)
    assert [each.started for each in decide(player, "three")] == [True]


@pytest.mark.parametrize("seats", [1, 2])
def test_a_real_team_takes_it(seats):
    players = [
        SkillAgent(f"player_{number}", scripted("random"), NoGuide(), np.random.default_rng(number))
        for number in range(seats)
    ]

    async def main():
        team = RoundRobinGroupChat(
            players,
            termination_condition=MaxMessageTermination(seats + 1),
            custom_message_types=[StructuredMessage[Observation], StructuredMessage[Decision]],
        )
        return await team.run(task=ObservationMessage(content=seen(), source="user"))

    result = anyio.run(main)
    first, *decisions = result.messages
    assert isinstance(first.content, Observation)
    assert [message.source for message in decisions] == [f"player_{number}" for number in range(seats)]
    assert all(message.content.action in GRAMMAR.options for message in decisions)


def test_a_model_serves_autogens_own_agent():
    model = ScriptedModel("echo", lambda messages, grammar: {f"I was told: {messages[-1].content}": 1.0})

    async def main():
        assistant = AssistantAgent("assistant", model_client=AutoGenClient(model), system_message="Be brief.")
        return await assistant.run(task="Say something.")

    result = anyio.run(main)
    assert result.messages[-1].content == "I was told: Say something."
    assert result.messages[-1].models_usage.completion_tokens == model.count(result.messages[-1].content)


def test_create_is_generate_in_autogens_words():
    class Answer(BaseModel):
        n: int

    model = AutoGenClient(scripted("random"))
    messages = [
        SystemMessage(content="s"),
        UserMessage(content="u", source="user"),
        AssistantMessage(content="a", source="assistant"),
    ]

    async def main():
        chosen = await model.create(messages, extra_create_args={"grammar": GRAMMAR, "seed": 5, "temperature": 1.0})
        typed = await model.create(messages, json_output=Answer)
        streamed = [part async for part in model.create_stream(messages, extra_create_args={"grammar": GRAMMAR})]
        return chosen, typed, streamed

    chosen, typed, streamed = anyio.run(main)
    assert chosen.content in GRAMMAR.options
    assert chosen.finish_reason == "stop"
    Answer.model_validate(json.loads(typed.content))
    assert streamed[0] == streamed[1].content
    assert model.actual_usage().prompt_tokens == model.total_usage().prompt_tokens == 3 * 3
    assert model.count_tokens(messages) == 3
    assert model.remaining_tokens(messages) == model.model.card.context - 3
    assert model.model_info["structured_output"]


def test_what_a_model_cannot_do_is_said():
    tool = FunctionTool(lambda: "x", description="x", name="x")

    async def main():
        with pytest.raises(ModelError, match="takes no tools"):
            await AutoGenClient(scripted("random")).create([UserMessage(content="u", source="user")], tools=[tool])
        with pytest.raises(ModelError, match="only text messages"):
            await AutoGenClient(scripted("random")).create([UserMessage(content=["u", "v"], source="user")])

    anyio.run(main)
