"""`RemoteModel`: weights that another process runs, on whichever machine has room for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any

from agents.models.model import Completion, Likelihood, Model, ModelCard, ModelUnavailable, Request, Utterance
from agents.models.weights.checkpoint import load_tokenizer
from agents.models.weights.folders import path as weights_path
from testbed.config.agent import AgentConfig
from testbed.play.engines.messages import Failure
from testbed.play.models import build_model

AGAIN = 1.0
"""Seconds between two questions to a process that is being started again."""


class ModelHost:
    """An actor that holds one model. Its calls meet in the model's passes, whichever process they come from."""

    def __init__(self, agent: str, rows: int, today: str) -> None:
        self._agent = AgentConfig.model_validate_json(agent)
        self._rows = rows
        self._today = date.fromisoformat(today)
        self._model: Model | None = None

    async def _loaded(self) -> Model:
        if self._model is None:  # also where this process has been started again
            self._model = await build_model(self._agent, self._rows, self._today)
        return self._model

    async def here(self) -> None:
        """Answers once there is a place for this process, and before its model is loaded."""

    async def card(self) -> ModelCard | Failure:
        try:
            return (await self._loaded()).card
        except Exception as error:
            return Failure.of(error)

    async def generate(self, request: Request) -> Completion | Failure:
        try:
            return await (await self._loaded()).generate(request)
        except Exception as error:
            return Failure.of(error)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood] | Failure:
        try:
            return await (await self._loaded()).score(utterances)
        except Exception as error:
            return Failure.of(error)

    async def release(self, session: str) -> None:
        if self._model is not None:
            self._model.release(session)


class RemoteModel(Model):
    """A `ModelHost` as whoever asks sees it; it can be sent from process to process."""

    def __init__(self, host: Any, card: ModelCard, patience: float) -> None:
        """`patience`: seconds that a host may take to be started again."""
        self._host = host
        self._card = card
        self._patience = patience

    @property
    def card(self) -> ModelCard:
        return self._card

    async def generate(self, request: Request) -> Completion:
        return await self._ask("generate", request)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        return await self._ask("score", list(utterances))

    def count(self, text: str) -> int:
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(weights_path(self._card.name))

    def release(self, session: str) -> None:
        self._host.release.remote(session)

    async def close(self) -> None:
        """The host goes with the engine that placed it."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_tokenizer"}

    async def _ask(self, method: str, question: Any) -> Any:
        """Raises ModelUnavailable where the host is gone, else what the model raised."""
        from ray.exceptions import ActorUnavailableError, RayError

        last = time.monotonic() + self._patience
        while True:
            try:
                answer = await getattr(self._host, method).remote(question)
            except ActorUnavailableError as error:
                if time.monotonic() >= last:
                    raise ModelUnavailable(f"{self._card.name}: its process does not come back") from error
                await asyncio.sleep(AGAIN)
                continue
            except RayError as error:
                raise ModelUnavailable(f"{self._card.name}: the process that runs it is gone") from error
            if isinstance(answer, Failure):
                raise answer.error()
            return answer
