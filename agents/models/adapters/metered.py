"""`Metered`: a model whose answers are put on the account of whoever asks."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from agents.models.model import Completion, FormMissed, Likelihood, Model, ModelCard, Request, Utterance


@dataclass
class Account:
    """What a memory's own calls have cost; an acting agent's moves are in its decisions."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    scored: int = 0
    """Utterances whose likelihood was asked for."""

    def add(self, other: Account) -> None:
        self.calls += other.calls
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.scored += other.scored


_OPEN: ContextVar[Account | None] = ContextVar("open account", default=None)


@contextmanager
def account() -> Generator[Account]:
    """All metered calls made within, also by tasks begun within, on one account; an outer one gets them, too."""
    outer, opened = _OPEN.get(), Account()
    token = _OPEN.set(opened)
    try:
        yield opened
    finally:
        _OPEN.reset(token)
        if outer is not None:
            outer.add(opened)


@contextmanager
def no_account() -> Generator[None]:
    """What is asked within stands on nobody's account out here."""
    token = _OPEN.set(None)
    try:
        yield
    finally:
        _OPEN.reset(token)


class Metered(Model):
    """The same model; what it is asked while an account is open is put there."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def card(self) -> ModelCard:
        return self._model.card

    async def generate(self, request: Request) -> Completion:
        try:
            answer = await self._model.generate(request)
        except FormMissed as error:
            _charge(_cost(error.completion))
            raise
        _charge(_cost(answer))
        return answer

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        found = await self._model.score(utterances)
        _charge(Account(scored=len(utterances)))
        return found

    def count(self, text: str) -> int:
        return self._model.count(text)

    def release(self, session: str) -> None:
        self._model.release(session)

    async def close(self) -> None:
        await self._model.close()


def _cost(answer: Completion) -> Account:
    return Account(1, answer.prompt_tokens, answer.completion_tokens)


def _charge(cost: Account) -> None:
    if (opened := _OPEN.get()) is not None:
        opened.add(cost)
