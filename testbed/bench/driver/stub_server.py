"""An OpenAI-compatible server that thinks of nothing, so that what is measured is whoever asks it.

    python stub_server.py ENDPOINTS [SLOTS SECONDS]

Each endpoint answers as soon as it is asked, or SLOTS questions at once in SECONDS each. The ports are printed in one
line; the process ends with its standard input. The answer is a guess of Mastermind that the conversation decides.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import permutations
from typing import Any
from zlib import crc32

from httptools import HttpRequestParser

_GUESSES = [f"[{' '.join(digits)}]" for digits in permutations("123456", 4)]
_LISTING = json.dumps({"data": [{"id": "stub", "owned_by": "nobody"}]}).encode()


class Endpoint:
    """One server: how many it answers at once, and how long it takes."""

    def __init__(self, slots: int, seconds: float) -> None:
        self._free = asyncio.Semaphore(slots) if slots else None
        self._seconds = seconds

    def connect(self) -> _Connection:
        return _Connection(self)

    async def think(self, connection: _Connection, question: bytes) -> None:
        assert self._free is not None
        async with self._free:
            await asyncio.sleep(self._seconds)
        connection.answer(reply(question))

    @property
    def is_instant(self) -> bool:
        return self._free is None


class _Connection(asyncio.Protocol):
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._parser = HttpRequestParser(self)
        self._content = bytearray()
        self._thoughts: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._content += body

    def on_message_complete(self) -> None:
        question = bytes(self._content)
        self._content.clear()
        if not question:
            self.answer(_LISTING)
        elif self._endpoint.is_instant:
            self.answer(reply(question))
        else:
            thought = asyncio.ensure_future(self._endpoint.think(self, question))
            self._thoughts.add(thought)
            thought.add_done_callback(self._thoughts.discard)

    def answer(self, content: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(content), content)
        )


def reply(question: bytes) -> bytes:
    """An answer of /chat/completions to the request `question`; its tokens are a quarter of its bytes."""
    messages = question[question.index(b'"messages"') : question.index(b'"max_tokens"')]
    answer = json.dumps({"answer": _GUESSES[crc32(messages) % len(_GUESSES)]})
    usage = {"prompt_tokens": len(messages) // 4, "completion_tokens": 9}
    message = {"role": "assistant", "content": answer}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()


async def serve(endpoints: int, slots: int, seconds: float) -> None:
    """Until standard input ends."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Endpoint(slots, seconds).connect, "127.0.0.1", 0) for _ in range(endpoints)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    _endpoints, _slots, _seconds = (*sys.argv[1:], "0", "0")[:3]
    asyncio.run(serve(int(_endpoints), int(_slots), float(_seconds)))
