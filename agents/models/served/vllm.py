"""Talking to a vLLM server in token ids: the same prompts as in process, grammars, and likelihoods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from agents.models.model import Completion, Likelihood, Message, ModelMisconfigured, Request, Utterance
from agents.models.served.answers.completion import read_finish, read_usage, require_choice
from agents.models.served.answers.values import items, mapping, number, text
from agents.models.served.http.api_key import redact
from agents.models.served.http.endpoints import Endpoints, Json
from agents.models.served.structured_output import StructuredOutputs
from agents.models.served.vllm_scorer import VllmScorer
from agents.models.tokens.context import ask_fitting
from agents.models.tokens.template import TRANSCRIPT_STOP, ChatTemplate
from agents.models.weights import folders
from agents.models.weights.catalog import MODELS
from agents.models.weights.checkpoint import load_tokenizer

_PROBE = "Naïve 1234 moves:\n[1 2 3 4], (x=−7.5)… ¿qué? 好的\t{}"


def find_tokenizer(name: str) -> PreTrainedTokenizerBase | None:
    """The tokenizer of a folder, catalog name or Hugging Face id; None where there is none to be had."""
    source = MODELS.get(name)
    if source is None and name.count("/") != 1 and not Path(name).expanduser().is_dir():
        return None
    packaged = source is not None and source.packaged is not None and folders.is_pulled(name)
    where = str(folders.path(name)) if packaged else source.hub if source is not None else name
    try:
        return load_tokenizer(where)
    except (OSError, ValueError):
        return None


class TokenDialect:
    """Prompts are rendered and tokenised here, so that a served model reads and writes what one in process would."""

    def __init__(self, endpoints: Endpoints, served: str, template: ChatTemplate, context: int) -> None:
        self._endpoints = endpoints
        self._served = served
        self._template = template
        self._tokenizer = template.tokenizer
        self._context = context
        self._constraint = StructuredOutputs()
        self._scorer = VllmScorer(endpoints, served, template, context)

    @property
    def tokenizer_name(self) -> str:
        return str(self._tokenizer.name_or_path)

    async def check(self) -> None:
        """Raises ModelMisconfigured when the server does not tokenise as we do."""
        body = {"model": self._served, "prompt": _PROBE, "add_special_tokens": False}
        answer = await self._endpoints.post("../tokenize", body)
        if answer.get("tokens") != self._encode(_PROBE):
            raise ModelMisconfigured(
                f"the tokenizer {self._tokenizer.name_or_path} is not the one {self._served} is served with; "
                "name the model's own (tokenizer)"
            )

    async def complete(self, request: Request) -> Completion:
        async def ask(messages: Sequence[Message]) -> Json:
            return await self._endpoints.post("/completions", self._body(messages, request), request.session)

        room = self._context - request.sampling.max_tokens
        answer, dropped = await ask_fitting(request.messages, room, self._size, ask)
        return _completion(answer, request, dropped)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        return await self._scorer.score(utterances)

    def count(self, text: str) -> int:
        return len(self._encode(text))

    def release(self, session: str) -> None:
        self._endpoints.leave(session)

    def _body(self, messages: Sequence[Message], request: Request) -> Json:
        sampling = request.sampling
        prompt = self._template.tokens(messages, generation=True)
        body: Json = {"model": self._served, "prompt": prompt, "max_tokens": sampling.max_tokens}
        # All of these are said aloud, because a server takes what is left out from the model's generation_config.
        body |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": sampling.seed % 2**63}
        body |= {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "logprobs": 0}
        body["return_token_ids"] = True
        if request.grammar is not None:
            body |= self._constraint.fields(request.grammar)
        elif self._template.is_transcript:
            body["stop"] = [TRANSCRIPT_STOP]
        return body

    async def _size(self, messages: Sequence[Message]) -> int:
        return len(self._template.tokens(messages, generation=True))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _completion(answer: Json, request: Request, dropped: int) -> Completion:
    choice, sampling = require_choice(answer), request.sampling
    written_text = text(choice.get("text"))
    logprob, policy = _summed(choice, written_text), None
    if sampling.temperature == 0:
        policy = 0.0
    elif sampling.temperature == 1:
        policy = logprob
    usage = read_usage(answer)
    return Completion(
        text=redact(written_text),
        prompt_tokens=usage.prompt,
        completion_tokens=usage.completion,
        cached_tokens=usage.cached,
        # Under a grammar vLLM's "raw" log-probabilities are already masked by it, but not yet divided by temperature.
        logprob=None if request.grammar is not None else logprob,
        policy_logprob=policy,
        dropped_turns=dropped,
        finish="length" if read_finish(choice) == "length" else "stop",
        tokens=_token_ids(choice, written_text),
    )


def _token_ids(choice: Mapping[str, Any], written_text: str) -> tuple[int, ...] | None:
    """The ids that the text was written in, without the end of the turn; None where the server does not tell."""
    ids = items(choice.get("token_ids"))
    offsets = [number(offset) for offset in items(mapping(choice.get("logprobs")).get("text_offset"))]
    if not ids or len(ids) != len(offsets):
        return None
    written = [id for id, offset in zip(ids, offsets, strict=True) if offset is None or offset < len(written_text)]
    return tuple(id for id in written if isinstance(id, int)) if all(type(id) is int for id in written) else None


def _summed(choice: Mapping[str, Any], written_text: str) -> float | None:
    """Log-probability of the text's tokens, without those of a stop string or the end of the turn."""
    listed = mapping(choice.get("logprobs"))
    offsets = [number(offset) for offset in items(listed.get("text_offset"))]
    values = [number(value) for value in items(listed.get("token_logprobs"))]
    if not offsets or len(offsets) != len(values):
        return None
    wanted = [
        value for offset, value in zip(offsets, values, strict=True) if offset is None or offset < len(written_text)
    ]
    return math.fsum(value for value in wanted if value is not None) if None not in wanted else None
