"""`Endpoints`: one or several HTTP servers that hold the same model, reached as if they were one that does not fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar, cast

import anyio

from agents.models.model import ModelError, ModelMisconfigured, ModelUnavailable, PromptRefused
from agents.models.served.http.address import check_address
from agents.models.served.http.api_key import redact
from agents.models.served.http.connection import Connection
from agents.models.served.http.failure import Reply, TryFailed, check
from agents.models.served.http.health import Health
from agents.models.served.http.outage import NoneAnswers, Outage, Patience

Json = dict[str, Any]
T = TypeVar("T")

Turn = Callable[[], AbstractAsyncContextManager[None]]

TIMEOUT = 120.0
PATIENCE = 600.0

_REST = 5.0
"""Seconds for which a server that failed is asked only when all others fail too."""
_LONGEST_REST = 300.0
"""The same for one that took requests and did not answer them, again and again."""

_LISTING = 30.0
"""Seconds within which a server must say what it serves."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Server:
    at: Connection
    health: Health = field(default_factory=Health)
    sessions: int = 0
    """Conversations that are held with it."""
    silences: int = 0
    """Requests in a row that it took and did not answer."""
    rests_until: float = 0.0
    paused_until: float = 0.0
    """Until then it has asked to be left alone."""

    def is_away(self, now: float) -> bool:
        """Whether it failed lately, or has asked to be left alone."""
        return max(self.rests_until, self.paused_until) > now

    def fail(self, failure: TryFailed) -> None:
        now = time.monotonic()
        self.health.fail(failure)
        self.silences += failure.silent
        rest = min(_REST * 2 ** max(0, self.silences - 1), _LONGEST_REST)
        self.rests_until = now + (rest if failure.silent else _REST)
        if failure.pause is not None:
            self.paused_until = now + failure.pause

    def succeed(self, reply: Reply) -> None:
        self.health.succeed(reply)
        self.silences = 0
        self.rests_until = self.paused_until = 0.0


class Endpoints:
    """Posts JSON to whichever server is up, the least busy first. Requests of one session stay with one server: when
    the session begins, the one with the fewest.

    When none is up it waits: as long as the servers ask for (Retry-After), and for `patience` seconds in all.
    """

    def __init__(
        self,
        name: str,
        urls: Sequence[str],
        *,
        key: str | None = None,
        timeout: float = TIMEOUT,
        patience: float = PATIENCE,
        turn: Turn = nullcontext,
    ) -> None:
        """`timeout` is the longest silence (seconds) in one try, `patience` (seconds) that of an outage.

        Everything is asked within a `turn`: the model may have to come into memory first, which takes as long as it
        takes. Raises ModelMisconfigured for addresses that are none.
        """
        if not urls:
            raise ModelMisconfigured(f"{name} has no base_url; give the address of at least one server")
        self._name = name
        self._timeout = timeout
        self._patience = patience
        self._turn = turn
        self._outage = Outage()
        checked = dict.fromkeys(check_address(url) for url in urls)
        self._servers = [_Server(Connection(url, key=key, timeout=timeout)) for url in checked]
        self._homes: dict[str, _Server] = {}

    @property
    def urls(self) -> list[str]:
        return [server.at.url for server in self._servers]

    @property
    def health(self) -> dict[str, Health]:
        """By address."""
        return {server.at.url: server.health for server in self._servers}

    async def get(self, path: str, url: str) -> object:
        """The JSON (of any type) that one server answers at once, or when it has started (503, 429).

        Raises ModelUnavailable, also when nobody listens there; ModelError where it refuses.
        """
        [server] = [server for server in self._servers if server.at.url == url]

        async def ask() -> object:
            try:
                reply = await server.at.ask(path, within=min(_LISTING, self._timeout))
                check(reply, url)
            except TryFailed as failure:
                if failure.refused or failure.silent:  # a mistyped address is said at once
                    raise self._unavailable({url: failure}) from failure
                raise NoneAnswers({url: failure}) from failure
            return reply.body

        async with self._turn():
            try:
                return await _patiently(ask, Patience(self._patience, Outage()))
            except NoneAnswers as error:
                raise self._unavailable(error.failures) from error

    async def post(self, path: str, body: Mapping[str, Any], session: str = "") -> Json:
        """Send `body` to `path` (below the base URL; "../" leaves its "/v1") of one server, another when it fails.

        Raises ModelUnavailable when no server answers in time, PromptRefused when one refuses this request,
        ModelMisconfigured when it would refuse any.
        """
        async with self._turn():
            patience = Patience(self._patience, self._outage)
            try:
                return await _patiently(partial(self._round, path, body, session, patience), patience)
            except NoneAnswers as error:
                if patience.others_were_answered and all(failure.status == 500 for failure in error.failures.values()):
                    raise PromptRefused(f"{self._name} fails at this request, and at no other: {error}") from error
                raise self._unavailable(error.failures) from error

    def leave(self, session: str) -> None:
        """The session is over."""
        home = self._homes.pop(session, None)
        if home is not None:
            home.sessions -= 1

    async def close(self) -> None:
        for server in self._servers:
            await server.at.close()

    async def _round(self, path: str, body: Mapping[str, Any], session: str, patience: Patience) -> Json:
        """Every server once, until one answers. Raises NoneAnswers."""
        failures: dict[str, TryFailed] = {}
        for server in self._order(session):
            try:
                answer = await self._try(server, path, body)
            except TryFailed as failure:
                failures[server.at.url] = failure
                patience.timeouts += failure.silent
                if failure.silent and patience.timeouts > 1 and await server.at.is_up():
                    raise self._too_slow(server.at.url) from failure
            else:
                self._outage.end()
                return answer
        if self._outage.begin():
            _log.warning("%s; asking again for up to %.0f s", self._unavailable(failures), self._patience)
        raise NoneAnswers(failures)

    async def _try(self, server: _Server, path: str, body: Mapping[str, Any]) -> Json:
        pause = server.paused_until - time.monotonic()
        if pause > 0:
            raise TryFailed(f"asks to be left alone for {pause:.0f} s", pause=pause)
        if server.silences and not await server.at.is_up():  # before it is handed another request to sit on
            failure = TryFailed("does not answer")
            server.fail(failure)
            raise failure
        server.health.in_flight += 1
        try:
            reply = await server.at.ask(path, body)
            check(reply, server.at.url, body)
            if not isinstance(reply.body, dict):
                raise TryFailed(f"answered something that is no JSON object: {redact(reply.plain)[:60]!r}")
        except TryFailed as failure:
            server.fail(failure)
            raise
        finally:
            server.health.in_flight -= 1
        server.succeed(reply)
        return cast(Json, reply.body)

    def _order(self, session: str) -> list[_Server]:
        """Awake servers before resting ones; a session's own before others (it holds the prefix), idle before busy."""
        if len(self._servers) == 1:
            return self._servers
        now = time.monotonic()
        home = self._home(session, now) if session else None

        def rank(server: _Server) -> tuple[bool, bool, int]:
            return server.is_away(now), server is not home, server.health.in_flight

        return sorted(self._servers, key=rank)

    def _home(self, session: str, now: float) -> _Server:
        """The server that holds the session's prefix."""
        home = self._homes.get(session)
        if home is None:
            home = min(self._servers, key=lambda server: (server.is_away(now), server.sessions))
            home.sessions += 1
            self._homes[session] = home
        return home

    def _unavailable(self, failures: Mapping[str, TryFailed]) -> ModelUnavailable:
        reasons = "; ".join(f"{url} {failure.reason}" for url, failure in failures.items())
        return ModelUnavailable(
            f"{self._name} does not answer: {reasons}; start the server (procmem serve NAME), or correct base_url"
        )

    def _too_slow(self, url: str) -> ModelError:
        return ModelUnavailable(
            f"{self._name} does not answer: {url} is up but did not answer in time, twice ({self._timeout:g} s each); "
            "raise the agent's timeout, or lower its max_tokens or the study's concurrency"
        )


async def _patiently(ask: Callable[[], Awaitable[T]], patience: Patience) -> T:
    """Ask until there is an answer, or patience is at its end. Raises NoneAnswers."""
    for tries in count(1):
        try:
            return await ask()
        except NoneAnswers as error:
            pause = patience.pause(tries, error.pause)
            if pause is None:
                raise
        await anyio.sleep(pause)
    raise AssertionError  # it is counted for ever
