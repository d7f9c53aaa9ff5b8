"""`Endpoints`: one or several HTTP servers that hold the same model, reached as if they were one that does not fail."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from agents.models.model import ModelError, ModelUnavailable

Json = dict[str, Any]

_PASSING = {408, 425, 429, 500, 502, 503, 504, 529}
"""Statuses that may be gone the next time."""

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

_REST = 5.0
"""Seconds for which a server that failed is asked only when all others fail too."""


class Rejected(ModelError):
    """The server understood the request and refuses it; asking again would not help."""


class _Failed(Exception):
    """One try failed in a way that another may not; the sentence's second half."""


@dataclass(slots=True)
class _Server:
    url: str
    busy: int = 0
    rests_until: float = 0.0


class Endpoints:
    """Posts JSON to whichever server is up, the least busy first; requests of one session stay with one server."""

    def __init__(
        self, name: str, urls: Sequence[str], *, key: str | None = None, timeout: float = 120.0, tries: int = 5
    ) -> None:
        """`timeout` is the longest silence (seconds) in one try; a request is tried `tries` times in all."""
        if not urls:
            raise ModelError(f"{name} has no base_url; give the address of at least one server")
        self._name = name
        self._servers = [_Server(_versioned(url)) for url in urls]
        self._tries = tries
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=10.0),
            limits=httpx.Limits(max_connections=512, max_keepalive_connections=64),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            # A proxy in the environment is for the web, not for this machine's own servers.
            trust_env=not all(httpx.URL(server.url).host in _LOOPBACK for server in self._servers),
        )

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self._servers]

    async def get(self, path: str, url: str) -> Json:
        """Ask one server. Raises ModelUnavailable or Rejected."""
        try:
            return _read(await self._client.get(url + path), url)
        except (httpx.HTTPError, _Failed) as error:
            raise self._unavailable([f"{url} {_reason(error)}"]) from error

    async def post(self, path: str, body: Mapping[str, Any], session: str = "") -> Json:
        """Send `body` to `path` (below the base URL; "../" leaves its "/v1") of one server, another when it fails.

        Raises ModelUnavailable when no server answers in all tries, Rejected when one refuses the request.
        """
        failures: dict[str, str] = {}
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Failed),
            stop=stop_after_attempt(self._tries),
            wait=wait_random_exponential(multiplier=0.25, max=8),
        )
        try:
            async for attempt in retrying:
                with attempt:
                    return await self._any(path, body, session, failures)
        except Exception as error:
            if failures and not isinstance(error, Rejected):
                raise self._unavailable([f"{url} {reason}" for url, reason in failures.items()]) from error
            raise
        raise AssertionError("tenacity ends by returning or raising")

    async def close(self) -> None:
        await self._client.aclose()

    async def _any(self, path: str, body: Mapping[str, Any], session: str, failures: dict[str, str]) -> Json:
        """One try: every server once, until one answers."""
        for server in self._order(session):
            server.busy += 1
            try:
                answer = _read(await self._client.post(_below(server.url, path), json=body), server.url)
            except (httpx.HTTPError, _Failed) as error:
                failures[server.url] = _reason(error)
                server.rests_until = time.monotonic() + _REST
            else:
                server.rests_until = 0.0
                return answer
            finally:
                server.busy -= 1
        raise _Failed

    def _order(self, session: str) -> list[_Server]:
        """Awake servers before resting ones; a session's own before others (it holds the prefix), idle before busy."""
        now = time.monotonic()

        def rank(server: _Server) -> tuple[bool, int, int]:
            affinity = -crc32(f"{session} {server.url}".encode()) if session else 0
            return server.rests_until > now, affinity, server.busy

        return sorted(self._servers, key=rank)

    def _unavailable(self, failures: Sequence[str]) -> ModelUnavailable:
        return ModelUnavailable(
            f"{self._name} does not answer: {'; '.join(failures)}; "
            "start the server (procmem serve NAME), or correct base_url"
        )


def first_choice(answer: Json) -> Json:
    """The first completion in an answer. Raises ModelError when there is none."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ModelError(f"the server answered no completion but {str(answer)[:80]!r}; is it OpenAI-compatible?")
    return choices[0]  # pyright: ignore[reportUnknownVariableType]


def _versioned(url: str) -> str:
    """A base URL without a path gets the "/v1" that every OpenAI-compatible server has."""
    clean = url.rstrip("/")
    try:
        parsed = httpx.URL(clean)
    except httpx.InvalidURL as error:
        raise ModelError(f"base_url {url!r} is not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ModelError(f"base_url {url!r} must look like http://127.0.0.1:8000/v1")
    return clean if parsed.path not in ("", "/") else f"{clean}/v1"


def _below(url: str, path: str) -> str:
    return url.removesuffix("/v1") + path.removeprefix("..") if path.startswith("../") else url + path


def _read(response: httpx.Response, url: str) -> Json:
    if response.status_code in _PASSING:
        raise _Failed(f"answered {response.status_code} ({_message(response)})")
    if response.is_error:
        raise Rejected(f"{url} refuses ({response.status_code}): {_message(response)}")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise _Failed(f"answered something that is no JSON object: {response.text[:60]!r}")
    return answer  # pyright: ignore[reportUnknownVariableType]


def _message(response: httpx.Response) -> str:
    """The server's own words, cut to a line."""
    try:
        body = response.json()
        said = body.get("error", body) if isinstance(body, dict) else body
        text = str(said.get("message", said) if isinstance(said, dict) else said)
    except ValueError:
        text = response.text
    return " ".join(text.split())[:300] or "no reason given"


def _reason(error: Exception) -> str:
    match error:
        case httpx.ConnectTimeout() | httpx.ConnectError():
            return "cannot be reached (connection refused or timed out)"
        case httpx.TimeoutException():
            return "did not answer in time"
        case httpx.TransportError():
            return "broke off the connection"
        case _:
            return str(error)
