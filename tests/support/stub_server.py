"""`StubServer`: an OpenAI-compatible server of a few lines, on loopback, whose answers a test writes."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from environments.grammar import Choices, Regex
from environments.sampling import sample

Body = dict[str, Any]


class Reply(NamedTuple):
    """`content` is JSON, bytes, or an iterator of bytes that are sent as they come; status 0 dies in the middle."""

    status: int
    content: Any
    headers: Mapping[str, str] = {}


Answer = Callable[[Body], "Reply | tuple[int, Any]"]


class StubServer:
    """Keeps the requests it has seen in `seen`, and their headers in `headers`; `listing` (or what it gives when
    it is called) answers /models."""

    def __init__(
        self,
        answer: Answer,
        listing: Any = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        encrypted: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer
        self.listing: Any = {"data": [{"id": "m"}]} if listing is None else listing
        self.seen: list[Body] = []
        self.headers: list[Mapping[str, str]] = []
        self.stopped = False
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                listing = stub.listing() if callable(stub.listing) else stub.listing
                self.reply(listing if isinstance(listing, Reply) else Reply(200, listing))

            def do_POST(self) -> None:
                if stub.stopped:  # on a connection that was kept open
                    self.close_connection = True
                    return
                body = {"path": self.path, **json.loads(self.rfile.read(int(self.headers["Content-Length"])))}
                stub.seen.append(body)
                stub.headers.append(dict(self.headers))
                self.reply(Reply(*stub.answer(body)))

            def reply(self, reply: Reply) -> None:
                try:
                    self.send(reply)
                except OSError:  # the client has hung up
                    self.close_connection = True

            def send(self, reply: Reply) -> None:
                if reply.status == 0:
                    self.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if isinstance(reply.content, Iterator):
                    self.close_connection = True
                    self.send_header("Connection", "close")
                    self.end_headers()
                    for chunk in reply.content:
                        self.wfile.write(chunk)
                        self.wfile.flush()
                    return
                data = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True
            block_on_close = False
            request_queue_size = 256

        self.http = Server((host, port), Handler)
        if encrypted is not None:
            self.http.socket = encrypted.wrap_socket(self.http.socket, server_side=True)
        scheme = "http" if encrypted is None else "https"
        self.url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.stopped = True
        self.http.shutdown()
        self.http.server_close()


@contextmanager
def stub_servers(*answers: Answer, listing: Any = None) -> Iterator[list[StubServer]]:
    """A server for each of the answers."""
    servers = [StubServer(answer, listing) for answer in answers]
    try:
        yield servers
    finally:
        for server in servers:
            server.stop()


def chat(content: Any, finish: Any = "stop", **message: Any) -> Body:
    """An answer of /chat/completions."""
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": finish}], "usage": usage}


def move(body: Body) -> tuple[int, Any]:
    """A text in the form asked for, which the prompt alone decides."""
    schema = body["response_format"]["json_schema"]["schema"]["properties"]["answer"]
    form = Choices(tuple(schema["enum"])) if "enum" in schema else Regex(schema["pattern"][2:-2])
    rng = np.random.default_rng(crc32(json.dumps(body["messages"]).encode()))
    return 200, chat(json.dumps({"answer": sample(form, rng)}))


def says(content: Any, finish: Any = "stop") -> Answer:
    return lambda body: (200, chat(content, finish))
