"""Talking to a vLLM server in token ids: the same prompts as in process, grammars, and likelihoods."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from agents.models.model import Completion, Likelihood, Message, ModelError, Request, Utterance
from agents.models.served.endpoints import Endpoints, Json, first_choice
from agents.models.served.structured_output import StructuredOutputs
from agents.models.served.vllm_scorer import VllmScorer
from agents.models.tokens.context import fit
from agents.models.tokens.template import TRANSCRIPT_STOP, ChatTemplate
from agents.models.weights import folders
from agents.models.weights.catalog import MODELS
from agents.models.weights.checkpoint import load_tokenizer

_PROBE = "Naïve 1234 moves:\n[1 2 3 4], (x=−7.5)… ¿qué? 好的\t{}"


def find_tokenizer(names: Sequence[str]) -> PreTrainedTokenizerBase | None:
    """The first tokenizer that can be had under one of `names` (folder, catalog name, Hugging Face id)."""
    for name in names:
        source = MODELS.get(name)
        packaged = source is not None and source.packaged is not None and folders.is_pulled(name)
        where = str(folders.path(name)) if packaged else source.hub if source is not None else name
        try:
            return load_tokenizer(where)
        except (OSError, ValueError):
            continue
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
        answer = await self._endpoints.post("/completions", body, request.session)
        return _completion(answer, request, dropped)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        return await self._scorer.score(utterances)

    def count(self, text: str) -> int:
        return len(self._encode(text))

    async def _size(self, messages: Sequence[Message]) -> int:
        return len(self._template.tokens(messages, generation=True))

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


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
        tokens=_token_ids(choice, text),
    )


def _token_ids(choice: Json, text: str) -> tuple[int, ...] | None:
    """The ids that the text was written in, without the end of the turn; None where the server does not tell."""
    ids, offsets = choice.get("token_ids"), (choice.get("logprobs") or {}).get("text_offset")
    if not isinstance(ids, list) or not isinstance(offsets, list) or len(ids) != len(offsets):
        return None
    said = tuple(id for id, offset in zip(ids, offsets, strict=True) if offset < len(text))
    return said if all(type(id) is int for id in said) else None


def _summed(choice: Json, text: str) -> float | None:
    """Log-probability of the text's tokens, without those of a stop string or the end of the turn."""
    listed: Json = choice.get("logprobs") or {}
    offsets, values = listed.get("text_offset"), listed.get("token_logprobs")
    if not offsets or not values:
        return None
    return sum(float(value) for offset, value in zip(offsets, values, strict=True) if offset < len(text))
