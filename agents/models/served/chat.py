"""Talking to any OpenAI-compatible server through `/chat/completions`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from agents.models.model import (
    Completion,
    Likelihood,
    Message,
    ModelMisconfigured,
    NoLikelihoods,
    PromptRefused,
    Request,
    Utterance,
)
from agents.models.served.answers.completion import Answer, read_answer
from agents.models.served.http.api_key import redact
from agents.models.served.http.endpoints import Endpoints, Json
from agents.models.served.http.failure import ParameterRefused
from agents.models.served.structured_output import StructuredOutput, find_form
from agents.models.tokens.context import ask_fitting
from agents.models.tokens.estimate import TokenEstimates

_OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
"""Fields that newer models know by another name."""
_DISPENSABLE = frozenset({"logprobs", "seed"})
"""Fields without which the answer is as good, though less is known of it."""
_ADVICE = {
    "temperature": "write the temperature that it takes (often 1) for this agent",
    "top_p": "write the top_p that it takes (often 1) for this agent",
    "response_format": "it cannot keep a move to its form; use a server with structured outputs, such as vLLM",
    "structured_outputs": "it cannot keep a move to its form; update vLLM",
    "chat_template_kwargs": "leave chat_template_kwargs out for this agent",
}


class ChatDialect:
    """The server renders and tokenises. Lengths are estimated, and there are no likelihoods of given texts."""

    def __init__(
        self,
        endpoints: Endpoints,
        served: str,
        constraint: StructuredOutput,
        context: int,
        *,
        reasoning_budget: int = 0,
        chat_template_kwargs: Mapping[str, Any] = {},
    ) -> None:
        """`context` is the longest prompt and answer together in tokens, `reasoning_budget` what a thought may take
        beside the answer; `chat_template_kwargs` are handed to the server's template."""
        self._endpoints = endpoints
        self._served = served
        self._constraint = constraint
        self._context = context
        self._budget = reasoning_budget
        self._settings: Json = {"chat_template_kwargs": dict(chat_template_kwargs)} if chat_template_kwargs else {}
        self._estimates = TokenEstimates()
        self._renamed: dict[str, str] = {}
        self._left_out: set[str] = set()

    @property
    def tokenizer_name(self) -> str:
        return ""

    async def complete(self, request: Request) -> Completion:
        sampling, grammar = request.sampling, request.grammar
        estimate = self._estimates.of(request.session)

        async def ask(messages: Sequence[Message]) -> Answer:
            answer = await self._ask(messages, request)
            estimate.learn(messages, answer.usage.prompt)
            return answer

        room = self._context - sampling.max_tokens - self._budget
        answer, dropped = await ask_fitting(request.messages, room, estimate.size, ask)
        return Completion(
            text=redact(answer.text if grammar is None else find_form(self._constraint, grammar, answer)),
            prompt_tokens=answer.usage.prompt,
            completion_tokens=answer.usage.completion,
            cached_tokens=answer.usage.cached,
            logprob=None if grammar is not None else _summed(answer),
            policy_logprob=0.0 if sampling.temperature == 0 else None,
            dropped_turns=dropped,
            finish="length" if answer.finish == "length" else "stop",
            thought=redact(answer.thought),
        )

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        raise NoLikelihoods(
            f"{self._served} is reached through a chat interface, which has no likelihoods of given texts; "
            "serve it with vLLM and have its tokenizer here, or run it in process (no base_url)"
        )

    def count(self, text: str) -> int:
        """An estimate: four bytes a token."""
        return math.ceil(len(text.encode()) / 4)

    def release(self, session: str) -> None:
        self._estimates.forget(session)
        self._endpoints.leave(session)

    async def _ask(self, messages: Sequence[Message], request: Request) -> Answer:
        """Raises PromptRefused where the server, or the model, will not answer this."""
        body = await self._post(self._body(messages, request), request.session)
        answer = read_answer(body)
        if answer.finish == "filtered" or (answer.refusal and not answer.text.strip()):
            words = redact(answer.refusal)[:300] or "its content filter ended the answer"
            raise PromptRefused(f"{self._served} refuses to answer: {words}")
        return answer

    def _body(self, messages: Sequence[Message], request: Request) -> Json:
        sampling = request.sampling
        body: Json = {
            "model": self._served,
            "messages": [{"role": role, "content": content} for role, content in messages],
            "max_tokens": sampling.max_tokens + self._budget,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed % 2**31,
            "logprobs": True,
            **self._settings,
        }
        return body if request.grammar is None else body | self._constraint.fields(request.grammar)

    async def _post(self, body: Json, session: str) -> Json:
        """Send the request with the fields that this server knows, which it tells by refusing the others."""
        while True:
            sent = body
            if self._renamed or self._left_out:
                sent = {
                    self._renamed.get(name, name): value for name, value in body.items() if name not in self._left_out
                }
            try:
                return await self._endpoints.post("/chat/completions", sent, session)
            except ParameterRefused as error:
                self._adapt(error)

    def _adapt(self, error: ParameterRefused) -> None:
        """Raises ModelMisconfigured where the field cannot be done without."""
        name = error.parameter
        if name in _OTHER_NAMES:
            self._renamed[name] = _OTHER_NAMES[name]
        elif name in _DISPENSABLE:
            self._left_out.add(name)
        else:
            raise ModelMisconfigured(f"{error}; {_ADVICE.get(name, 'use another server')}") from error


def _summed(answer: Answer) -> float | None:
    """Log-probability of the answer's tokens, without that of the end of the turn."""
    spelled, total = "", 0.0
    for token, logprob in answer.logprobs:
        if len(spelled) >= len(answer.text):
            break
        spelled += token
        total += logprob
    return total if answer.logprobs and spelled == answer.text else None
