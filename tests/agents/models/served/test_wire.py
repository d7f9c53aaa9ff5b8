"""Connections that stay open: what servers do with them, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from agents.models.served.http.wire.direct import DirectWire
from agents.models.served.http.wire.exchange import Answered, BrokenOff, Silence, Unreachable, WireFailed

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

Ask = Callable[[], Awaitable[Answered]]
Talk = Callable[[Ask], Awaitable[None]]
Script = Sequence[bytes | float | None]
"""What is done once a question has come: bytes are sent, seconds pass, None closes the connection."""


class Server:
    """Follows one script a question, and counts its connections."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self._scripts = list(scripts)
        self.connections = 0
        self.questions: list[bytes] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self._scripts:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line[15:]) for line in head.splitlines() if line.startswith(b"Content-Length:")), 0)
                self.questions.append(head + await reader.readexactly(length))
                for act in self._scripts.pop(0):
                    if act is None:
                        writer.close()
                        return
                    if isinstance(act, float):
                        await asyncio.sleep(act)
                    else:
                        writer.write(act)
                        await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def run(
    scripts: Sequence[Script],
    talk: Talk,
    timeout: float = 5.0,
    within: float = 5.0,
) -> Server:
    server = Server(scripts)

    async def go() -> None:
        listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        wire = DirectWire(url, {"Accept-Encoding": "gzip"}, timeout=timeout, tls=None)
        try:
            await talk(lambda: wire.ask("POST", f"{url}/chat", b"{}", within))
        finally:
            await wire.close()
            listening.close()

    asyncio.run(go())
    return server


def twice(*wanted: bytes, pause: float = 0.02) -> Talk:
    async def talk(ask: Ask) -> None:
        for want in wanted:
            assert (await ask()).content == want
            await asyncio.sleep(pause)

    return talk


def test_a_connection_is_used_again():
    server = run([[HELLO], [HELLO]], twice(b"hello", b"hello"))
    assert server.connections == 1
    assert server.questions[0].startswith(b"POST /v1/chat HTTP/1.1\r\nHost: 127.0.0.1:")
    assert server.questions[0].endswith(b"Content-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize("closing", [[HELLO, None], [HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")]])
def test_a_connection_that_was_closed_is_not(closing: Script):
    assert run([closing, [HELLO]], twice(b"hello", b"hello")).connections == 2


def test_a_connection_that_closes_as_it_is_used_is_no_outage():
    """The server read the question on an idle connection, said nothing and closed it: asked again on a new one."""
    server = run([[HELLO], [None], [HELLO]], twice(b"hello", b"hello"))
    assert (server.connections, len(server.questions)) == (2, 3)


@pytest.mark.parametrize("late", [HELLO, HELLO[:30], b"garbage"])
@pytest.mark.parametrize("pause", [[], [0.005]])
def test_a_second_answer_to_one_question_is_not_that_to_the_next(late: bytes, pause: Script):
    server = run([[HELLO, *pause, late.replace(b"hello", b"wrong")], [HELLO]], twice(b"hello", b"hello", pause=0.4))
    assert server.connections == 2


@pytest.mark.parametrize(
    ("script", "content"),
    [
        ([b"HTTP/1.1 100 Continue\r\n\r\n", HELLO], b"hello"),
        ([HELLO[:20], 0.01, HELLO[20:40], 0.01, HELLO[40:]], b"hello"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"], b"hello"),
        ([b"HTTP/1.0 200 OK\r\n\r\nhel", 0.01, b"lo", None], b"hello"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([HELLO.replace(b"200 OK", b"503 Sorry")], b"hello"),
    ],
)
def test_whole_answers(script: Script, content: bytes):
    run([script], twice(content))


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ([None], BrokenOff),
        ([HELLO[:-1], None], BrokenOff),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", None], BrokenOff),
        ([b"SSH-2.0-OpenSSH\r\n"], BrokenOff),
        ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"], BrokenOff),
        ([b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"y" * 1000 + b"\r\n"] * 100, 9.0], BrokenOff),
        ([HELLO[:-1], 9.0], Silence),
        ([9.0], Silence),
    ],
)
def test_what_is_no_whole_answer(script: Script, failure: type[WireFailed]):
    async def talk(ask: Ask) -> None:
        with pytest.raises(failure):
            await ask()

    run([script], talk, timeout=0.3)


def test_pieces_that_keep_coming_are_no_silence():
    run([[HELLO[:-5], *[act for letter in b"hello" for act in (0.2, bytes([letter]))]]], twice(b"hello"), timeout=0.4)


def test_nobody_there():
    async def go() -> None:
        wire = DirectWire("http://127.0.0.1:9", {}, timeout=5, tls=None)
        with pytest.raises(Unreachable):
            await wire.ask("GET", "http://127.0.0.1:9/models", None, 5)

    asyncio.run(go())


def test_whoever_stops_waiting_leaves_no_answer_behind():
    """The answer to a question that was given up is not taken for that to the next one."""

    async def talk(ask: Ask) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(), 0.1)
        assert (await ask()).content == b"hello"

    assert run([[0.3, HELLO.replace(b"hello", b"wrong")], [HELLO]], talk).connections == 2


def test_many_at_once_share_few_connections():
    async def talk(ask: Ask) -> None:
        for _ in range(3):
            assert {answer.content for answer in await asyncio.gather(*(ask() for _ in range(40)))} == {b"hello"}

    assert run([[HELLO]] * 120, talk).connections == 40


def test_the_whole_has_a_deadline():
    async def talk(ask: Ask) -> None:
        with pytest.raises(Silence):
            await ask()

    run([[HELLO[:-5], *[act for letter in b"hello" for act in (0.2, bytes([letter]))]]], talk, within=0.5)
