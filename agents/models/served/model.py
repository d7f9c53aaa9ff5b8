"""`ServedModel`: a model behind any OpenAI-compatible server, vLLM first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import JsonValue

from agents.models.model import (
    Completion,
    FormMissed,
    Likelihood,
    Model,
    ModelCard,
    ModelMisconfigured,
    ModelUnavailable,
    Request,
    Utterance,
)
from agents.models.served.answers.listing import ListedModel, read_listing
from agents.models.served.answers.values import line
from agents.models.served.chat import ChatDialect
from agents.models.served.http.api_key import read_key, redact
from agents.models.served.http.endpoints import PATIENCE, TIMEOUT, Endpoints, Turn
from agents.models.served.http.health import Health
from agents.models.served.structured_output import ResponseFormat, StructuredOutputs
from agents.models.weights import folders
from agents.models.weights.catalog import MODELS

if TYPE_CHECKING:
    from agents.models.tokens.template import ChatTemplate

_log = logging.getLogger(__name__)

UNKNOWN_CONTEXT = 1_000_000
"""For servers that do not say how much they can read: they will refuse what is too long, in their own words."""


class Dialect(Protocol):
    """How one kind of server is talked to."""

    @property
    def tokenizer_name(self) -> str:
        """With what prompts are tokenised here; nothing where the server does it."""
        ...

    async def complete(self, request: Request) -> Completion: ...
    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]: ...
    def count(self, text: str) -> int: ...
    def release(self, session: str) -> None: ...


class ServedModel(Model):
    """Generation and likelihoods over HTTP. Make one with `connect`.

    With vLLM, and the model's tokenizer at hand, prompts are tokenised here and texts can be scored; with any other
    server the chat interface is used, and `score` raises NoLikelihoods.
    """

    def __init__(self, card: ModelCard, endpoints: Endpoints, dialect: Dialect, reasoning_budget: int = 0) -> None:
        self._card = card
        self._endpoints = endpoints
        self._dialect = dialect
        self._budget = reasoning_budget

    @classmethod
    async def connect(
        cls,
        name: str,
        urls: Sequence[str],
        *,
        tokenizer: str | None = None,
        context: int | None = None,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        api_key_env: str | None = None,
        reasoning_budget: int = 0,
        today: date | None = None,
        chat_template_kwargs: Mapping[str, JsonValue] = {},
        turn: Turn = nullcontext,
    ) -> ServedModel:
        """Find the model `name` on the servers at `urls`.

        `tokenizer` is a folder, catalog name or Hugging Face id, by default what `name` stands for: a server does not
        choose what is loaded here. `context` bounds what is sent, by default the server's own limit. `timeout` is the
        longest silence within a request, `patience` that of an outage (seconds). `api_key_env` names the variable
        that holds the servers' key. A thought before the answer may take `reasoning_budget` tokens. `today` and
        `chat_template_kwargs` are what the chat template is told: the run's date, `enable_thinking`, …. Every
        question is asked within a `turn`.

        Raises ModelUnavailable when no server answers, ModelMisconfigured when one that answers does not hold the
        model.
        """
        endpoints = Endpoints(name, urls, key=read_key(api_key_env), timeout=timeout, patience=patience, turn=turn)
        try:
            found = await _find(name, endpoints)
            contexts = [entry.context for entry in found if entry.context is not None]
            limit = min([context or UNKNOWN_CONTEXT, *contexts])
            served, root = found[0].id, found[0].root or found[0].id
            vllm = all(entry.vllm for entry in found)
            own = Path(root) if root in (name, _folder(name)) else None
            template = await _template(tokenizer, name, today, chat_template_kwargs) if vllm else None
            dialect: Dialect
            if template is not None:
                dialect = await _token_dialect(endpoints, served, template, limit)
            else:
                dialect = ChatDialect(
                    endpoints,
                    served,
                    StructuredOutputs() if vllm else ResponseFormat(),
                    limit,
                    reasoning_budget=reasoning_budget,
                    chat_template_kwargs=chat_template_kwargs,
                )
        except BaseException:
            await endpoints.close()
            raise
        family = MODELS[name].family if name in MODELS else line(root, 200).rpartition("/")[2].lower()
        noted = folders.origin(own).get("weights") if own is not None else None
        digest = str(noted or f"served as {redact(line(root))}")
        told_by = "" if template is None else template.digest
        card = ModelCard(name, family, "vllm" if vllm else "openai", digest, "as served", limit, template=told_by)
        return cls(card, endpoints, dialect, reasoning_budget)

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def urls(self) -> list[str]:
        return self._endpoints.urls

    @property
    def health(self) -> dict[str, Health]:
        """How its servers have answered so far, by address."""
        return self._endpoints.health

    @property
    def tokenizer_name(self) -> str:
        """The tokenizer that prompts are tokenised with here; nothing where the server does it."""
        return self._dialect.tokenizer_name

    async def generate(self, request: Request) -> Completion:
        """Write one completion. What does not fit the grammar is asked for once more: another seed, twice the tokens.

        Raises ModelUnavailable when no server answers, FormMissed when the answer still does not fit the grammar.
        """
        completion = await self._dialect.complete(request)
        if request.grammar is None or request.grammar.accepts(completion.text):
            return completion
        sampling = replace(request.sampling, seed=request.sampling.seed + 1, max_tokens=2 * request.sampling.max_tokens)
        completion = await self._dialect.complete(replace(request, sampling=sampling))
        if request.grammar.accepts(completion.text):
            return completion
        if completion.finish == "length" and not completion.text.strip():
            reason = (
                f"a thought took all {sampling.max_tokens + self._budget} tokens; raise the agent's "
                "reasoning_budget, or switch thoughts off (chat_template_kwargs = { enable_thinking = false })"
            )
        elif completion.finish == "length":
            reason = f"{sampling.max_tokens} tokens were too few for the form asked for; raise max_tokens"
        else:
            reason = f"the server ignores structured outputs; {self._remedy}"
        sentence = f"{self._card.name} answered {completion.text[:60]!r}, not in the form asked for: {reason}"
        raise FormMissed(redact(sentence), completion)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        return await self._dialect.score(utterances)

    def count(self, text: str) -> int:
        return self._dialect.count(text)

    def release(self, session: str) -> None:
        self._dialect.release(session)

    async def close(self) -> None:
        await self._endpoints.close()

    @property
    def _remedy(self) -> str:
        if self._dialect.tokenizer_name:
            return "a vLLM that was started with --reasoning-parser does so: start it without"
        return "use one that has them, such as vLLM"


async def _find(name: str, endpoints: Endpoints) -> list[ListedModel]:
    """What the servers that answer say about the model."""
    names = frozenset({name, MODELS[name].hub} if name in MODELS else {name})
    answers = await asyncio.gather(
        *(_entry(name, names, endpoints, url) for url in endpoints.urls), return_exceptions=True
    )
    found = [answer for answer in answers if isinstance(answer, ListedModel)]
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    for failure in failures:
        if not (found and isinstance(failure, ModelUnavailable)):
            raise failure
        _log.warning("%s", failure)
    if len({entry.id for entry in found}) > 1:
        raise ModelMisconfigured(
            f"the servers of {name} call it by different names; start them with one --served-model-name"
        )
    return found


async def _entry(name: str, names: frozenset[str], endpoints: Endpoints, url: str) -> ListedModel:
    listed = read_listing(await endpoints.get("/models", url))
    if not listed:
        _log.warning("%s lists no models in a form that is known; %s is asked for by its name", url, name)
        return ListedModel(name)
    entry = next((entry for entry in listed if entry.goes_by(names)), None)
    if entry is None:
        offered = line(", ".join(entry.id for entry in listed), 500)
        raise ModelMisconfigured(redact(f"{url} does not serve {name} but {offered}; correct model or base_url"))
    return entry


async def _template(
    wanted: str | None, name: str, today: date | None, options: Mapping[str, JsonValue]
) -> ChatTemplate | None:
    """How the model reads a conversation, where its tokenizer is here. Raises ModelMisconfigured for a tokenizer that
    cannot be had though the study names it."""
    from agents.models.served.vllm import find_tokenizer  # here, because transformers takes seconds to import
    from agents.models.tokens.template import ChatTemplate

    tokenizer = await asyncio.to_thread(find_tokenizer, wanted or name)
    if tokenizer is not None:
        return ChatTemplate(tokenizer, today=today, options=options)
    if wanted:
        raise ModelMisconfigured(f"the tokenizer {wanted} cannot be loaded; name a folder, catalog name or hub id")
    _log.warning(
        "no tokenizer found for %s: token counts are estimates and texts cannot be scored; name it (tokenizer)", name
    )
    return None


async def _token_dialect(endpoints: Endpoints, served: str, template: ChatTemplate, context: int) -> Dialect:
    from agents.models.served.vllm import TokenDialect

    dialect = TokenDialect(endpoints, served, template, context)
    await dialect.check()
    return dialect


def _folder(name: str) -> str | None:
    """Where the weights that a catalog name stands for lie on this machine."""
    packaged = name in MODELS and MODELS[name].packaged is not None
    return str(folders.path(name)) if packaged and folders.is_pulled(name) else None
