"""How likely a model behind a vLLM server finds what was said.

The bare model's likelihoods are vLLM's `prompt_logprobs`. vLLM computes them anew for every request and skips its
prefix cache for them, as values at cached positions would be left over from other requests (vllm issue 42019).

An acting policy's likelihoods need what its grammar allowed at every step: for each token that was a choice, a request
asks for the log-probabilities of all tokens that were allowed there. Its prompt is found in the prefix cache.

Nothing here depends on the order of requests. What remains is rounding, which may depend on a request's company.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from itertools import count

import torch
from torch import Tensor

from agents.models.model import Likelihood, ModelError, NoLikelihoods, Utterance
from agents.models.scoring.listening import listener
from agents.models.served.answers.completion import require_choice
from agents.models.served.http.endpoints import Endpoints, Json
from agents.models.tokens.masks import GrammarMasks
from agents.models.tokens.template import ChatTemplate, TokenizedUtterance

_ASKED = 128
"""Tokens whose log-probabilities one request may ask for (vLLM's MAX_LOGPROB_TOKEN_IDS)."""
_CHOICE = 1024
"""A step at which more tokens were allowed is not scored over HTTP."""


class VllmScorer:
    """Likelihoods over HTTP, at most `requests` of them under way."""

    def __init__(
        self,
        endpoints: Endpoints,
        served: str,
        template: ChatTemplate,
        context: int,
        *,
        requests: int = 64,
    ) -> None:
        self._endpoints = endpoints
        self._served = served
        self._template = template
        self._context = context
        self._policies = GrammarMasks(template.tokenizer, len(template.tokenizer))
        self._turn = asyncio.Semaphore(requests)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        """The likelihood of each utterance; −inf where its grammar forbids it.

        Raises NoLikelihoods for a policy whose choices are too wide to be asked for, or a server that has none.
        """
        tokenized = self._template.tokenize_all(utterances)
        carriers = _carriers([item for item, each in zip(tokenized, utterances, strict=True) if _is_raw(each)])
        distinct = list(dict.fromkeys(carriers.values()))
        rows = dict(zip(distinct, await asyncio.gather(*map(self._row, distinct)), strict=True))

        tell, done = listener(), count(1)

        async def likelihood(each: Utterance, item: TokenizedUtterance) -> Likelihood:
            if _is_raw(each):
                return Likelihood(tuple(rows[carriers[_text(item)]][item.start : item.stop]))
            found = await self._policy(each, item)
            tell(next(done), len(utterances))
            return found

        return list(await asyncio.gather(*map(likelihood, utterances, tokenized)))

    async def _row(self, ids: tuple[int, ...]) -> list[float]:
        """The bare model's log-probability of each token after those before it; 0 for the first, which has none."""
        answer = await self._ask(ids, {"prompt_logprobs": 0, "temperature": 0.0})
        listed = require_choice(answer).get("prompt_logprobs")
        if listed is None:
            raise NoLikelihoods(
                f"the server of {self._served} gives no prompt_logprobs; use vLLM, or run the model in process"
            )
        try:
            return [
                0.0,
                *(
                    self._checked(entry[str(token)]["logprob"])
                    for entry, token in zip(listed[1:], ids[1:], strict=True)
                ),
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self._served} answered prompt_logprobs of another text; update the server") from error

    async def _policy(self, each: Utterance, item: TokenizedUtterance) -> Likelihood:
        if each.grammar is None:
            raise NoLikelihoods(
                f"{self._served} is served, and a server does not tell the likelihoods of free text at temperature "
                f'{each.temperature:g}; score the raw model (whose = "raw"), or run it in process (no base_url)'
            )
        bits = self._policies.predictions([each], [item]).bits
        assert bits is not None
        steps = (
            self._step(item.ids[:at], item.ids[at], _ids(row), each.temperature)
            for at, row in zip(range(item.start, item.stop), bits, strict=True)
        )
        return Likelihood(tuple(await asyncio.gather(*steps)))

    async def _step(self, before: tuple[int, ...], token: int, allowed: list[int], temperature: float) -> float:
        """log p(token | before) among the allowed ones, at a temperature."""
        if token not in allowed:
            return -math.inf
        if len(allowed) == 1:
            return 0.0
        if len(allowed) > _CHOICE:
            raise NoLikelihoods(
                f"{self._served} is served, and a step at which {len(allowed)} tokens are allowed is not scored over "
                'HTTP; score the raw model (whose = "raw"), or run it in process (no base_url)'
            )
        parts = [allowed[start : start + _ASKED] for start in range(0, len(allowed), _ASKED)]
        tables = await asyncio.gather(*(self._next(before, part) for part in parts))
        scores = {asked: value / temperature for table in tables for asked, value in table.items()}
        top = max(scores.values())
        return scores[token] - top - math.log(math.fsum(math.exp(score - top) for score in scores.values()))

    async def _next(self, before: tuple[int, ...], asked: list[int]) -> dict[int, float]:
        """The bare model's log-probability of each of the `asked` tokens as the next one."""
        wish = {"logprob_token_ids": asked, "logprobs": len(asked), "return_tokens_as_token_ids": True}
        answer = await self._ask(before, {**wish, "temperature": 1.0})
        try:
            [table] = require_choice(answer)["logprobs"]["top_logprobs"]
            return {token: self._checked(table[f"token_id:{token}"]) for token in asked}
        except (KeyError, TypeError, ValueError) as error:
            raise NoLikelihoods(
                f"the server of {self._served} does not tell the log-probabilities asked for (logprob_token_ids); "
                "update vLLM to 0.32 or later"
            ) from error

    async def _ask(self, ids: tuple[int, ...], wish: Json) -> Json:
        if len(ids) >= self._context:
            raise ModelError(
                f"a text of {len(ids)} tokens cannot be scored in the {self._context} of {self._served}'s context; "
                "serve it with a larger --max-model-len"
            )
        body = {"model": self._served, "prompt": list(ids), "max_tokens": 1, "top_k": 0, "top_p": 1.0, **wish}
        async with self._turn:
            return await self._endpoints.post("/completions", body)

    def _checked(self, value: float) -> float:
        if not (math.isfinite(value) and value <= 1e-3):
            raise ModelError(
                f"{self._served} answered {value} for a log-probability; start it with --no-enable-prefix-caching"
            )
        return float(value)


def _is_raw(utterance: Utterance) -> bool:
    return utterance.grammar is None and utterance.temperature == 1


def _text(item: TokenizedUtterance) -> tuple[int, ...]:
    return item.ids[: item.stop]


def _carriers(tokenized: Sequence[TokenizedUtterance]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """For each text the longest of them all that begins with it: one pass over a conversation scores all its turns."""
    carriers: dict[tuple[int, ...], tuple[int, ...]] = {}
    longest: tuple[int, ...] = ()
    for ids in sorted({_text(item) for item in tokenized}, reverse=True):
        if longest[: len(ids)] != ids:
            longest = ids
        carriers[ids] = longest
    return carriers


def _ids(bits: Tensor) -> list[int]:
    """The tokens whose bits are set, from a row of 32-bit words."""
    flags = (bits[:, None] >> torch.arange(32)) & 1
    ids: list[int] = flags.flatten().nonzero()[:, 0].tolist()
    return ids
