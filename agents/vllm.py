"""Talking to a vLLM server in token ids: the same prompts as in process, grammars, and likelihoods."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from agents import weights
from agents.constraint import StructuredOutputs
from agents.endpoints import Endpoints, Json, first_choice
from agents.model import Completion, Likelihood, Message, ModelError, NoLikelihoods, Request, Utterance
from agents.model_catalog import MODELS
from agents.template import TRANSCRIPT_STOP, Joint, joint, tokens
from agents.window import fit

_PROBE = "Naïve 1234 moves:\n[1 2 3 4], (x=−7.5)… ¿qué? 好的\t{}"


def find_tokenizer(names: Sequence[str]) -> PreTrainedTokenizerBase | None:
    """The first tokenizer that can be had under one of `names` (folder, catalog name, Hugging Face id)."""
    for name in names:
        source = MODELS.get(name)
        packaged = source is not None and source.packaged is not None and weights.is_pulled(name)
        where = str(weights.path(name)) if packaged else source.hub if source is not None else name
        try:
            return AutoTokenizer.from_pretrained(where)
        except (OSError, ValueError):
            continue
    return None


class TokenDialect:
    """Prompts are rendered and tokenised here, so that a served model reads and writes what one in process would.

    vLLM's `prompt_logprobs` are the raw model's. They are computed anew for every request: vLLM skips its prefix cache
    for them, as values at cached positions would be left over from other requests (vllm issue 42019). What remains is
    rounding, which depends on the batch a request falls into: see the README for its size in bfloat16 and float32.
    """

    def __init__(self, endpoints: Endpoints, served: str, tokenizer: PreTrainedTokenizerBase, context: int) -> None:
        self._endpoints = endpoints
        self._served = served
        self._tokenizer = tokenizer
        self._context = context
        self._constraint = StructuredOutputs()
        self._queue = asyncio.Semaphore(64)

    async def check(self) -> None:
        """Raises ModelError when the server does not tokenise as we do."""
        body = {"model": self._served, "prompt": _PROBE, "add_special_tokens": False}
        answer = await self._endpoints.post("../tokenize", body)
        if answer.get("tokens") != self._encode(_PROBE):
            raise ModelError(
                f"the tokenizer {self._tokenizer.name_or_path} is not the one {self._served} is served with; "
                "name the model's own (tokenizer)"
            )

    async def complete(self, request: Request) -> Completion:
        sampling = request.sampling
        messages, dropped = await fit(request.messages, self._context - sampling.max_tokens, self._size)
        body = self._body(tokens(self._tokenizer, messages, generation=True), sampling.max_tokens)
        # All of these are said aloud, because a server takes what is left out from the model's generation_config.
        body |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": sampling.seed % 2**63}
        body |= {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "logprobs": 0}
        if request.grammar is not None:
            body |= self._constraint.fields(request.grammar)
        elif not self._tokenizer.chat_template:
            body["stop"] = [TRANSCRIPT_STOP]
        answer = await self._endpoints.post("/completions", body, request.session)
        return _completion(answer, request, dropped)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        for utterance in utterances:
            if utterance.grammar is not None or utterance.temperature != 1:
                raise NoLikelihoods(
                    f"{self._served} is served by vLLM, which has the raw model's likelihoods only, not those of a "
                    "policy with grammar and temperature; choose the raw likelihood, or run the model in process "
                    "(no base_url)"
                )
        joints = [joint(self._tokenizer, utterance) for utterance in utterances]
        carriers = _carriers(joints)
        distinct = list(dict.fromkeys(carriers))
        rows = dict(zip(distinct, await asyncio.gather(*map(self._row, distinct)), strict=True))
        return [
            Likelihood(tuple(rows[carrier][item.start : item.stop]))
            for item, carrier in zip(joints, carriers, strict=True)
        ]

    def count(self, text: str) -> int:
        return len(self._encode(text))

    async def _row(self, ids: tuple[int, ...]) -> list[float]:
        """Log-probability of each token after those before it; 0 for the first, which nothing precedes."""
        if len(ids) >= self._context:
            raise ModelError(
                f"a text of {len(ids)} tokens cannot be scored in the {self._context} of {self._served}'s context; "
                "serve it with a larger --max-model-len"
            )
        body = self._body(list(ids), 1) | {"temperature": 0.0, "prompt_logprobs": 0}
        async with self._queue:
            answer = await self._endpoints.post("/completions", body)
        listed = first_choice(answer).get("prompt_logprobs")
        if listed is None:
            raise NoLikelihoods(
                f"the server of {self._served} gives no prompt_logprobs; use vLLM, or run the model in process"
            )
        try:
            row = [
                0.0,
                *(float(entry[str(token)]["logprob"]) for entry, token in zip(listed[1:], ids[1:], strict=True)),
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self._served} answered prompt_logprobs of another text; update the server") from error
        if not all(math.isfinite(value) and value <= 1e-3 for value in row):
            raise ModelError(
                f"{self._served} answered a log-probability that is none; start it with --no-enable-prefix-caching"
            )
        return row

    def _body(self, prompt: list[int], max_tokens: int) -> Json:
        return {"model": self._served, "prompt": prompt, "max_tokens": max_tokens}

    async def _size(self, messages: Sequence[Message]) -> int:
        return len(tokens(self._tokenizer, messages, generation=True))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _carriers(joints: Sequence[Joint]) -> list[tuple[int, ...]]:
    """For each text the longest of them all that begins with it: one pass over a conversation scores all its turns."""
    carriers: dict[tuple[int, ...], tuple[int, ...]] = {}
    longest: tuple[int, ...] = ()
    for ids in sorted({item.ids[: item.stop] for item in joints}, reverse=True):
        if longest[: len(ids)] != ids:
            longest = ids
        carriers[ids] = longest
    return [carriers[item.ids[: item.stop]] for item in joints]


def _completion(answer: Json, request: Request, dropped: int) -> Completion:
    choice, sampling = first_choice(answer), request.sampling
    text = str(choice.get("text") or "")
    logprob, policy = _summed(choice, text), None
    if sampling.temperature == 0:
        policy = 0.0
    elif sampling.temperature == 1:
        policy = logprob
    usage: Json = answer.get("usage") or {}
    return Completion(
        text=text,
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        completion_tokens=int(usage.get("completion_tokens") or 0),
        cached_tokens=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
        # Under a grammar vLLM's "raw" log-probabilities are already masked by it, but not yet divided by temperature.
        logprob=None if request.grammar is not None else logprob,
        policy_logprob=policy,
        dropped_turns=dropped,
        finish="length" if choice.get("finish_reason") == "length" else "stop",
    )


def _summed(choice: Json, text: str) -> float | None:
    """Log-probability of the text's tokens, without those of a stop string or the end of the turn."""
    listed: Json = choice.get("logprobs") or {}
    offsets, values = listed.get("text_offset"), listed.get("token_logprobs")
    if not offsets or not values:
        return None
    return sum(float(value) for offset, value in zip(offsets, values, strict=True) if offset < len(text))
