"""`Metered`: a model whose answers are put on the account of whoever asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, NamedTuple

from agents.models.model import Completion, FormMissed, Likelihood, Model, ModelCard, Request, Utterance

Use = Literal["act", "recall", "learn", "exchange", "influence"]
"""What a model is asked for: a move with the thoughts before it, what a memory brings to mind, what is learned from
episodes (its writers and judges), whether a gift is admitted, how likely a move was with a memory and without."""


@dataclass
class Account:
    """What models were asked, and what it took."""

    calls: int = 0
    """Completions written."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    scored: int = 0
    """Utterances whose likelihood was asked for."""
    cached_tokens: int = 0
    """Those of `prompt_tokens` that the model had read before."""
    scored_tokens: int = 0
    """Of the scored utterances; those of their prompts are not known to whoever asks."""
    seconds: float = 0.0
    """From question to answer, summed over calls that may overlap."""
    recalled: int = 0
    """Answers that stood in a cache of calls, completions and likelihoods: nobody was asked."""
    recalled_tokens: int = 0
    """Those that were not spent on them."""

    def add(self, other: Account) -> None:
        self.calls += other.calls
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.scored += other.scored
        self.cached_tokens += other.cached_tokens
        self.scored_tokens += other.scored_tokens
        self.seconds += other.seconds
        self.recalled += other.recalled
        self.recalled_tokens += other.recalled_tokens

    @property
    def tokens(self) -> int:
        """Prompts read, completions written, utterances scored."""
        return self.prompt_tokens + self.completion_tokens + self.scored_tokens


class Charge(NamedTuple):
    """One answer: whose model gave it, what for, and what it took."""

    agent: str
    model: str
    use: Use
    cost: Account


_OPEN: ContextVar[Account | None] = ContextVar("open account", default=None)
_TOLD: ContextVar[Callable[[Charge], None] | None] = ContextVar("who is told of charges", default=None)


@contextmanager
def charging(tell: Callable[[Charge], None]) -> Generator[None]:
    """Each metered call made within, also by tasks begun within, is told as it is answered; to the innermost alone."""
    token = _TOLD.set(tell)
    try:
        yield
    finally:
        _TOLD.reset(token)


def pass_on(charge: Charge) -> None:
    """Tell of a call that another process has made for somebody here."""
    if (tell := _TOLD.get()) is not None:
        tell(charge)


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

    def __init__(self, model: Model, agent: str, use: Use) -> None:
        """`agent` is whose model it is, as records call it."""
        self._model = model
        self._agent = agent
        self._use: Use = use

    @property
    def card(self) -> ModelCard:
        return self._model.card

    async def generate(self, request: Request) -> Completion:
        asked = time.monotonic()
        try:
            answer = await self._model.generate(request)
        except FormMissed as error:
            self._charge(_written(error.completion, time.monotonic() - asked))
            raise
        cost = _written(answer, time.monotonic() - asked)
        self._charge(cost, _spared(cost) if answer.recalled else cost)
        return answer

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        asked = time.monotonic()
        found = await self._model.score(utterances)
        seconds = time.monotonic() - asked
        computed = _scored([each for each in found if not each.recalled])
        recalled = _scored([each for each in found if each.recalled])
        spent = _spared(recalled)
        spent.add(computed)
        spent.seconds = seconds
        computed.add(recalled)
        computed.seconds = seconds
        self._charge(computed, spent)
        return found

    def count(self, text: str) -> int:
        return self._model.count(text)

    def release(self, session: str) -> None:
        self._model.release(session)

    async def close(self) -> None:
        await self._model.close()

    def _charge(self, cost: Account, spent: Account | None = None) -> None:
        """`spent` where a part of it was recalled. An open account is of what was asked, whoever answered: what a
        memory costs must not depend on a cache."""
        if (opened := _OPEN.get()) is not None:
            opened.add(cost)
        pass_on(Charge(self._agent, self._model.card.name, self._use, spent or cost))


def _written(answer: Completion, seconds: float) -> Account:
    return Account(
        calls=1,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        cached_tokens=answer.cached_tokens,
        seconds=seconds,
    )


def _scored(found: Sequence[Likelihood]) -> Account:
    return Account(scored=len(found), scored_tokens=sum(len(likelihood.logprobs) for likelihood in found))


def _spared(cost: Account) -> Account:
    """What is on the account of answers that were recalled."""
    return Account(recalled=cost.calls + cost.scored, recalled_tokens=cost.tokens, seconds=cost.seconds)
