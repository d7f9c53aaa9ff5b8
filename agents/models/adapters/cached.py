"""`Cached`: a model that is not asked again what it has answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from weakref import WeakValueDictionary

import anyio
from pydantic import TypeAdapter, ValidationError

from agents.models.adapters.call_cache import CallCache, digest
from agents.models.model import Completion, Likelihood, Model, ModelCard, Request, Utterance
from environments.grammar import dump

SEEDED = ("transformers", "vllm")
"""Back ends that draw by the seed they are given. Others promise nothing, so that what they draw is drawn each time."""
_COMPLETION = TypeAdapter(Completion)
_LIKELIHOOD = TypeAdapter(Likelihood)


class Cached(Model):
    """The same model; an answer that is stored is `recalled`.

    Stored is what the same weights, in the same precision and manner, have answered to the same messages under the
    same grammar and sampling, seed among it. Likelihoods are stored one by one. Errors are not, and nothing that was
    drawn by a back end that heeds no seed.
    """

    def __init__(self, model: Model, cache: CallCache, manner: str = "") -> None:
        """`manner` is what else makes answers what they are and no card tells, such as a server's settings."""
        self.model = model
        self._cache = cache
        card = model.card
        self._who = [card.backend, card.weights, card.precision, card.context, card.template, manner]
        self._asking: WeakValueDictionary[bytes, anyio.Lock] = WeakValueDictionary()

    @property
    def card(self) -> ModelCard:
        return self.model.card

    async def generate(self, request: Request) -> Completion:
        greedy = request.sampling.temperature == 0 and self.card.backend == "openai"
        if not (greedy or self.card.backend in SEEDED):
            return await self.model.generate(request)
        grammar = None if request.grammar is None else dump(request.grammar)
        key = digest("write", self._who, request.messages, grammar, asdict(request.sampling))
        # Who asks the same at the same time waits for the one answer: it is the one that is stored.
        lock = self._asking.setdefault(key, anyio.Lock())
        async with lock:
            stored = self._cache.find(key)
            found = _completion(stored)
            if found is not None and (request.grammar is None or request.grammar.accepts(found.text)):
                return found
            answer = await self.model.generate(request)
            # What is stored and no answer to this is replaced; what another process has stored meanwhile is not.
            self._cache.keep(key, _plain(answer), instead=stored is not None)
            first = None if stored is not None else _completion(self._cache.find(key))
            return answer if first is None else replace(first, recalled=False)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        keys = [self._key(utterance) for utterance in utterances]
        found = {key: likelihood for key in keys if (likelihood := _likelihood(self._cache.find(key))) is not None}
        missing = {key: each for key, each in zip(keys, utterances, strict=True) if key not in found}
        if missing:
            scored = await self.model.score(list(missing.values()))
            for key, likelihood in zip(missing, scored, strict=True):
                self._cache.keep(key, {"logprobs": likelihood.logprobs})
                found[key] = likelihood
        return [found[key] for key in keys]

    def count(self, text: str) -> int:
        return self.model.count(text)

    def release(self, session: str) -> None:
        self.model.release(session)

    async def close(self) -> None:
        await self.model.close()

    def _key(self, utterance: Utterance) -> bytes:
        grammar = None if utterance.grammar is None else dump(utterance.grammar)
        said = utterance.messages, utterance.text, grammar, utterance.temperature, utterance.tokens
        return digest("score", self._who, *said)


def _plain(answer: Completion) -> dict[str, object]:
    content = asdict(answer)
    del content["recalled"]
    return content


def _completion(stored: object) -> Completion | None:
    """None for what is no completion, whoever wrote it."""
    try:
        return None if stored is None else replace(_COMPLETION.validate_python(stored), recalled=True)
    except (ValidationError, UnicodeError):
        return None


def _likelihood(stored: object) -> Likelihood | None:
    try:
        return None if stored is None else replace(_LIKELIHOOD.validate_python(stored), recalled=True)
    except ValidationError:
        return None
