"""Talking to any OpenAI-compatible server through `/chat/completions`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agents.models.model import Completion, Likelihood, Message, NoLikelihoods, Request, Utterance
from agents.models.served.endpoints import Endpoints, Json, Rejected, first_choice
from agents.models.served.structured_output import Constraint
from agents.models.tokens.context import fit

_TURN = 8
"""Tokens that a chat template spends on one message, generously."""


class ChatDialect:
    """The server renders and tokenises. Lengths are estimated, and there are no likelihoods of given texts."""

    def __init__(self, endpoints: Endpoints, served: str, constraint: Constraint, context: int) -> None:
        """`context` is the longest prompt and answer together in tokens."""
        self._endpoints = endpoints
        self._served = served
        self._constraint = constraint
        self._context = context
        self._gives_logprobs = True

    async def complete(self, request: Request) -> Completion:
        sampling, grammar = request.sampling, request.grammar
        messages, dropped = await fit(request.messages, self._context - sampling.max_tokens, self._size)
        body: Json = {
            "model": self._served,
            "messages": [message._asdict() for message in messages],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed % 2**31,
        }
        if grammar is not None:
            body |= self._constraint.fields(grammar)
        answer = await self._post(body, request.session)
        choice = first_choice(answer)
        content = str((choice.get("message") or {}).get("content") or "")
        usage: Json = answer.get("usage") or {}
        return Completion(
            text=content if grammar is None else self._constraint.text(grammar, content),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
            cached_tokens=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
            logprob=None if grammar is not None else _summed(choice, content),
            policy_logprob=0.0 if sampling.temperature == 0 else None,
            dropped_turns=dropped,
            finish="length" if choice.get("finish_reason") == "length" else "stop",
        )

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        raise NoLikelihoods(
            f"{self._served} is reached through a chat interface, which has no likelihoods of given texts; "
            "serve it with vLLM and have its tokenizer here, or run it in process (no base_url)"
        )

    def count(self, text: str) -> int:
        """An estimate: four bytes a token."""
        return math.ceil(len(text.encode()) / 4)

    async def _post(self, body: Json, session: str) -> Json:
        if self._gives_logprobs:
            try:
                return await self._endpoints.post("/chat/completions", body | {"logprobs": True}, session)
            except Rejected as error:
                if "logprobs" not in str(error):
                    raise
                self._gives_logprobs = False
        return await self._endpoints.post("/chat/completions", body, session)

    async def _size(self, messages: Sequence[Message]) -> int:
        return sum(self.count(message.content) + _TURN for message in messages)


def _summed(choice: Json, content: str) -> float | None:
    """Log-probability of the content's tokens, without that of the end of the turn."""
    listed: list[Json] = (choice.get("logprobs") or {}).get("content") or []
    spelled, total = "", 0.0
    for entry in listed:
        if len(spelled) >= len(content):
            break
        spelled += str(entry.get("token", ""))
        total += float(entry.get("logprob", 0.0))
    return total if listed and spelled == content else None
