"""`DirectWire`: HTTP/1.1 over connections that stay open, a pool of them for one server.

httpx takes milliseconds of processor time a request where many are under way, because httpcore looks through all its
connections each time (`procmem bench driver` measures it), and aiohttp three times as much as this (docs/speed.md):
thousands of episodes at once have no time for that. What comes back is parsed by llhttp (httptools).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import anyio
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from agents.models.served.http.wire.exchange import (
    CONNECT,
    MOST,
    Answered,
    BrokenOff,
    NoConnection,
    Silence,
    TooLong,
    Unreachable,
)

_HEADERS = 2**16
"""Bytes of a response that may come before its body."""

_PORTS = {"http": 80, "https": 443}
_IN_A_PATH = "/%:@!$&'()*+,;=~?"


class DirectWire:
    """Asks the server at one address, by the connection that was used last."""

    def __init__(self, url: str, headers: Mapping[str, str], *, timeout: float, tls: ssl.SSLContext | None) -> None:
        """`timeout` is the longest silence (seconds) within a question; `headers` go with each."""
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._netloc, self._host = parts.netloc, parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._timeout, self._tls = timeout, tls
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._heads: dict[tuple[str, str], bytes] = {}
        self._idle: list[_Line] = []

    async def ask(self, method: str, url: str, content: bytes | None, within: float) -> Answered:
        """As `Wire.ask`."""
        length = b"" if content is None else b"Content-Length: %d\r\n" % len(content)
        question = b"%b%b\r\n%b" % (self._head(method, url), length, content or b"")
        deadline = asyncio.get_running_loop().time() + within
        while self._idle:
            line = self._idle.pop()
            try:
                return await self._answer(line, question, deadline)
            except BrokenOff:  # a server closes what was idle for long, perhaps at this moment
                if line.has_heard:
                    raise
        return await self._answer(await self._connect(), question, deadline)

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _head(self, method: str, url: str) -> bytes:
        """Everything before Content-Length."""
        if (method, url) not in self._heads:
            host = self._netloc if self._netloc.isascii() else self._netloc.encode("idna").decode()
            target = quote(url.removeprefix(self._origin), safe=_IN_A_PATH) or "/"
            kind = "Content-Type: application/json\r\n" if method == "POST" else ""
            head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n{self._headers}{kind}"
            self._heads[method, url] = head.encode("ascii")
        return self._heads[method, url]

    async def _connect(self) -> _Line:
        loop = asyncio.get_running_loop()
        try:
            with anyio.fail_after(min(CONNECT, self._timeout)):
                _, line = await loop.create_connection(
                    _Line, self._host, self._port, ssl=self._tls, happy_eyeballs_delay=0.25
                )
        except TimeoutError as error:
            raise NoConnection from error
        except OSError as error:
            raise Unreachable(str(error)) from error
        return line

    async def _answer(self, line: _Line, question: bytes, deadline: float) -> Answered:
        answer = await line.ask(question, self._timeout, deadline)
        if line.is_open:
            self._idle.append(line)
        return answer


class _Line(asyncio.Protocol):
    """One connection, with one question under way at most."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answered] | None = None
        self._begin()

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    @property
    def _is_asked(self) -> bool:
        return self._answer is not None and not self._answer.done()

    @property
    def has_heard(self) -> bool:
        """Whether anything came of the last question."""
        return self._heard

    async def ask(self, question: bytes, timeout: float, deadline: float) -> Answered:
        """Silent for `timeout` seconds at most, and done at `deadline` (of the loop's clock), which is to come.

        Raises Silence, BrokenOff or TooLong; whatever is raised, the connection is closed.
        """
        self._begin()
        if self._transport is None:
            raise BrokenOff("closed")
        loop = asyncio.get_running_loop()
        self._since = loop.time()
        self._answer = loop.create_future()
        self._watch(loop, timeout, deadline)
        try:
            self._transport.write(question)
            return await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._timer.cancel()
            self._answer = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _watch(self, loop: asyncio.AbstractEventLoop, timeout: float, deadline: float) -> None:
        """Looks at the clock once a timeout, rather than with each piece that comes."""
        due = min(self._since + timeout, deadline)
        if loop.time() >= due:
            self._fail(Silence())
        else:
            self._timer = loop.call_at(due, self._watch, loop, timeout, deadline)

    def _begin(self) -> None:
        self._heard = self._in_body = False
        self._headers: dict[str, str] = {}
        self._head_size = 0
        self._body = bytearray()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()

    # -- asyncio's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._is_asked:
            self.close()
            return
        self._heard = True
        self._since = asyncio.get_running_loop().time()
        if not self._in_body:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(BrokenOff(type(error).__name__))
        if not self._in_body and self._head_size > _HEADERS:
            self._fail(BrokenOff("headers without end"))

    def connection_lost(self, exc: Exception | None) -> None:
        ends_with_the_connection = not self._headers.keys() & {"content-length", "transfer-encoding"}
        if exc is None and self._in_body and ends_with_the_connection:
            self.on_message_complete()
        self._transport = None
        self._fail(BrokenOff(type(exc).__name__ if exc else "closed"))

    # -- the parser's side -------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if not self._is_asked:  # a second answer to one question would be taken for that to the next
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._in_body = self._parser.get_status_code() >= 200

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MOST:
            self._fail(TooLong())

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # the answer is still to come
            self._headers = {}
            return
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answered(status, self._headers, bytes(self._body)))
