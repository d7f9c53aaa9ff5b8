"""`SkillAgent`: an AutoGen chat agent that plays one seat of one episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, StructuredMessage
from autogen_core import CancellationToken

from agents.decision import Decision, Observation
from agents.guide import Guide, State
from agents.models.adapters.metered import account
from agents.models.model import Message, Model, Request, Sampling
from agents.prompts import KeptThoughts, PastTurn, after_reasoning, conversation, fingerprint, reasoning_request
from environments import grammar as grammars

ObservationMessage = StructuredMessage[Observation]
DecisionMessage = StructuredMessage[Decision]


class Thought(NamedTuple):
    """The prompt to act on, after any reasoning aloud, and what the reasoning cost."""

    prompt: tuple[Message, ...]
    reasoning: str = ""
    tokens: int = 0
    calls: int = 0


class Reasoning(Protocol):
    """What an agent does between seeing its prompt and making its move."""

    async def think(self, model: Model, prompt: tuple[Message, ...], sampling: Sampling) -> Thought: ...

    def kept(self, thoughts: Sequence[str]) -> KeptThoughts | None:
        """What of the thoughts so far, one a turn, stays in the conversation."""
        ...

    def kept_tokens(self, model: Model) -> int:
        """By how many tokens a past turn is longer at most, where its thought stays in the conversation."""
        ...


class Direct:
    """Moves at once."""

    async def think(self, model: Model, prompt: tuple[Message, ...], sampling: Sampling) -> Thought:
        return Thought(prompt)

    def kept(self, thoughts: Sequence[str]) -> KeptThoughts | None:
        return None

    def kept_tokens(self, model: Model) -> int:
        return 0


@dataclass(frozen=True)
class Aloud:
    """Writes its thoughts first, in free text.

    Only the move itself stays in the conversation, unless `keep`: then all of it does, as in ReAct (2210.03629), whose
    traces hold their thoughts. (There a thought costs a step of the episode; here it costs none.)
    """

    style: str
    max_tokens: int = 120
    keep: bool = False

    async def think(self, model: Model, prompt: tuple[Message, ...], sampling: Sampling) -> Thought:
        asked = reasoning_request(prompt, self.style)
        written = await model.generate(Request(asked, sampling=replace(sampling, max_tokens=self.max_tokens)))
        return Thought(after_reasoning(asked, written.text), written.text, written.completion_tokens, 1)

    def kept(self, thoughts: Sequence[str]) -> KeptThoughts | None:
        return KeptThoughts(self.style, tuple(thoughts)) if self.keep else None

    def kept_tokens(self, model: Model) -> int:
        if not self.keep:
            return 0
        words = conversation("", "", [("", "")], "", KeptThoughts(self.style, [""]))
        return self.max_tokens + model.count("\n".join(message.content for message in words))


REASONING: dict[str, Reasoning] = {"direct": Direct(), "cot": Aloud("reason"), "react": Aloud("react")}


class SkillAgent(BaseChatAgent):
    """One seat's player: consult the guide, think, move under the grammar.

    `session` names the conversation, so that the model may keep its prefix from step to step.
    Every draw's seed comes from `rng`, in order.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        guide: Guide,
        rng: np.random.Generator,
        *,
        reasoning: Reasoning = REASONING["direct"],
        sampling: Sampling = Sampling(),
        session: str = "",
    ) -> None:
        super().__init__(name, f"plays one seat with {model.card.name}")
        self._model = model
        self._guide = guide
        self._rng = rng
        self._reasoning = reasoning
        self._sampling = sampling
        self._session = session
        self._turns: list[PastTurn] = []
        self._thoughts: list[str] = []
        self._counted = ("", 0)

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (DecisionMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Answer the last observation with a decision. Raises TypeError where none was sent.

        In a team the other agents' decisions are sent along; they are passed over.
        """
        for message in reversed(messages):
            if isinstance(message, StructuredMessage) and isinstance(message.content, Observation):
                decision = await self.decide(message.content)
                break
        else:
            raise TypeError("a SkillAgent is sent a StructuredMessage[Observation] at each turn")
        return Response(chat_message=DecisionMessage(content=decision, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Another episode begins: neither its turns nor the skill under way go on, nor the model's kept prefix."""
        self._turns.clear()
        self._thoughts.clear()
        self._guide.reset()
        self._model.release(self._session)

    async def close(self) -> None:
        self._model.release(self._session)

    async def decide(self, observation: Observation) -> Decision:
        """a_t ~ π_LLM(· | s_t, ω_t). Raises ModelError as the model does."""
        state = State(observation.rules, tuple(self._turns), observation.text)
        with account() as reading:
            guidance = await self._guide.guide(state)
        sampling = replace(self._sampling, seed=int(self._rng.integers(2**31)))
        kept = self._reasoning.kept(self._thoughts)
        prompt = conversation(observation.rules, guidance.text, self._turns, observation.text, kept)
        thought = await self._reasoning.think(self._model, prompt, sampling)
        grammar = None if observation.grammar is None else grammars.load(observation.grammar)
        move = await self._model.generate(Request(thought.prompt, grammar, sampling, self._session))
        action = move.text.strip() if grammar is None else move.text
        self._turns.append((observation.text, action))
        self._thoughts.append(thought.reasoning)
        return Decision(
            action=action,
            skill=guidance.skill,
            started=guidance.started,
            explored=guidance.explored,
            units=guidance.units,
            grammar=observation.grammar,
            reasoning=thought.reasoning,
            completion=move.text,
            tokens=move.tokens,
            logprob=move.logprob,
            policy_logprob=move.policy_logprob,
            prompt_digest=fingerprint(thought.prompt),
            prompt_tokens=move.prompt_tokens,
            memory_tokens=self._tokens(guidance.text),
            completion_tokens=move.completion_tokens + thought.tokens,
            thought_tokens=thought.tokens,
            calls=1 + guidance.calls + thought.calls,
            dropped_turns=move.dropped_turns,
            left_out=guidance.left_out,
            written=guidance.written,
            reading_calls=reading.calls,
            reading_prompt_tokens=reading.prompt_tokens,
            reading_completion_tokens=reading.completion_tokens,
        )

    def _tokens(self, memory: str) -> int:
        """Tokens of the memory's text; counted once while it stays the same."""
        if memory != self._counted[0]:
            self._counted = memory, self._model.count(memory)
        return self._counted[1]
