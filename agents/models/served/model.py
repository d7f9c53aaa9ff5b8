"""`ServedModel`: a model behind any OpenAI-compatible server, vLLM first."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import JsonValue

from agents.models.model import (
    Completion,
    Likelihood,
    Model,
    ModelCard,
    ModelError,
    ModelUnavailable,
    Request,
    Utterance,
)
from agents.models.served.chat import ChatDialect
from agents.models.served.endpoints import Endpoints, Json
from agents.models.served.structured_output import ResponseFormat, StructuredOutputs
from agents.models.weights import folders
from agents.models.weights.catalog import MODELS

if TYPE_CHECKING:
    from agents.models.tokens.template import ChatTemplate

_log = logging.getLogger(__name__)

_UNKNOWN_CONTEXT = 1_000_000
"""For servers that do not say how much they can read: they will refuse what is too long, in their own words."""


class Dialect(Protocol):
    """How one kind of server is talked to."""

    async def complete(self, request: Request) -> Completion: ...
    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]: ...
    def count(self, text: str) -> int: ...


class ServedModel(Model):
    """Generation and likelihoods over HTTP. Make one with `connect`.

    With vLLM, and the model's tokenizer at hand, prompts are tokenised here and texts can be scored; with any other
    server the chat interface is used, and `score` raises NoLikelihoods.
    """

    def __init__(self, card: ModelCard, endpoints: Endpoints, dialect: Dialect) -> None:
        self._card = card
        self._endpoints = endpoints
        self._dialect = dialect

    @classmethod
    async def connect(
        cls,
        name: str,
        urls: Sequence[str],
        *,
        tokenizer: str | None = None,
        context: int | None = None,
        timeout: float = 120.0,
        tries: int = 5,
        today: date | None = None,
        chat_template_kwargs: Mapping[str, JsonValue] = {},
    ) -> ServedModel:
        """Find the model `name` on the servers at `urls`.

        `tokenizer` is a folder, catalog name or Hugging Face id, by default the model's own; `context` bounds what is
        sent, by default the server's own limit; `timeout` (seconds) and `tries` are those of one request. The key of
        a server that wants one is read from OPENAI_API_KEY. `today` and `chat_template_kwargs` are what a chat template
        that is rendered here is told: the run's date, `enable_thinking`, ….

        Raises ModelUnavailable when no server answers, ModelError when one that answers does not hold the model.
        """
        key = os.environ.get("OPENAI_API_KEY")
        endpoints = Endpoints(name, urls, key=key, timeout=timeout, tries=tries)
        try:
            found = await _find(name, endpoints)
            limit = min([context or _UNKNOWN_CONTEXT, *(int(entry.get("max_model_len") or 10**9) for entry in found)])
            served, root = str(found[0]["id"]), str(found[0].get("root") or found[0]["id"])
            vllm = all(entry.get("owned_by") == "vllm" for entry in found)
            names = [tokenizer] if tokenizer else [root, name]
            template = await _template(served, names, today, chat_template_kwargs) if vllm else None
            dialect = await _dialect(endpoints, served, vllm, limit, template)
        except BaseException:
            await endpoints.close()
            raise
        family = MODELS[name].family if name in MODELS else root.rpartition("/")[2].lower()
        digest = str(folders.origin(Path(root)).get("weights") or f"served as {root}")
        return cls(
            ModelCard(
                name,
                family,
                "vllm" if vllm else "openai",
                digest,
                "as served",
                limit,
                template="" if template is None else template.digest,
            ),
            endpoints,
            dialect,
        )

    @property
    def card(self) -> ModelCard:
        return self._card

    async def generate(self, request: Request) -> Completion:
        """Write one completion. What does not fit the grammar is asked for once more: another seed, twice the tokens.

        Raises ModelUnavailable when no server answers, ModelError when the answer still does not fit the grammar.
        """
        completion = await self._dialect.complete(request)
        if request.grammar is None or request.grammar.accepts(completion.text):
            return completion
        sampling = replace(request.sampling, seed=request.sampling.seed + 1, max_tokens=2 * request.sampling.max_tokens)
        completion = await self._dialect.complete(replace(request, sampling=sampling))
        if request.grammar.accepts(completion.text):
            return completion
        if completion.finish == "length":
            reason = f"{sampling.max_tokens} tokens were too few for the form asked for; raise max_tokens"
        else:
            reason = "the server ignores structured outputs; use one that has them, such as vLLM"
        raise ModelError(f"{self._card.name} answered {completion.text[:60]!r}, not in the form asked for: {reason}")

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        return await self._dialect.score(utterances)

    def count(self, text: str) -> int:
        return self._dialect.count(text)

    async def close(self) -> None:
        await self._endpoints.close()


async def _find(name: str, endpoints: Endpoints) -> list[Json]:
    """What the servers that answer say about the model."""
    names = {name, MODELS[name].hub} if name in MODELS else {name}
    answers = await asyncio.gather(*(endpoints.get("/models", url) for url in endpoints.urls), return_exceptions=True)
    found: list[Json] = []
    failures: list[BaseException] = []
    for url, answer in zip(endpoints.urls, answers, strict=True):
        if isinstance(answer, BaseException):
            failures.append(answer)
            continue
        listed: list[Json] = answer.get("data") or []
        entry = next((entry for entry in listed if {entry.get("id"), entry.get("root")} & names), None)
        if entry is None:
            offered = ", ".join(str(entry.get("id")) for entry in listed) or "no model at all"
            raise ModelError(f"{url} does not serve {name} but {offered}; correct model or base_url")
        found.append(entry)
    if not found:
        raise failures[0]
    for failure in failures:
        if not isinstance(failure, ModelUnavailable):
            raise failure
        _log.warning("%s", failure)
    if len({entry["id"] for entry in found}) > 1:
        raise ModelError(f"the servers of {name} call it by different names; start them with one --served-model-name")
    return found


async def _template(
    served: str, names: Sequence[str], today: date | None, options: Mapping[str, JsonValue]
) -> ChatTemplate | None:
    from agents.models.served.vllm import find_tokenizer  # here, because transformers takes seconds to import
    from agents.models.tokens.template import ChatTemplate

    tokenizer = await asyncio.to_thread(find_tokenizer, names)
    if tokenizer is None:
        _log.warning("no tokenizer found for %s: token counts are estimates and texts cannot be scored", served)
        return None
    return ChatTemplate(tokenizer, today=today, options=options)


async def _dialect(
    endpoints: Endpoints, served: str, vllm: bool, context: int, template: ChatTemplate | None
) -> Dialect:
    if template is None:
        return ChatDialect(endpoints, served, StructuredOutputs() if vllm else ResponseFormat(), context)
    from agents.models.served.vllm import TokenDialect

    dialect = TokenDialect(endpoints, served, template, context)
    await dialect.check()
    return dialect
