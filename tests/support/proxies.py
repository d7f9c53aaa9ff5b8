"""Proxies of a few lines, on loopback: HTTP with CONNECT, and SOCKS 5. They know one far host by another address."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Address = tuple[str, int]


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: Any, hosts: Mapping[str, Address]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.hosts = hosts
        self.asked: list[Address] = []

    def dial(self, host: str, port: int) -> socket.socket:
        self.asked.append((host, port))
        return socket.create_connection(self.hosts[host])


class _Connect(socketserver.StreamRequestHandler):
    """RFC 9110, section 9.3.6."""

    server: _Proxy

    def handle(self) -> None:
        method, target, _ = self.rfile.readline().decode().split()
        assert method == "CONNECT"
        while self.rfile.readline().strip():
            pass
        host, _, port = target.rpartition(":")
        far = self.server.dial(host, int(port))
        self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        _pipe(self.connection, far)


class _Socks(socketserver.StreamRequestHandler):
    """RFC 1928 without authentication, names resolved here (socks5h)."""

    server: _Proxy

    def handle(self) -> None:
        _, methods = self.rfile.read(2)
        self.rfile.read(methods)
        self.connection.sendall(b"\x05\x00")
        _, command, _, kind = self.rfile.read(4)
        assert (command, kind) == (1, 3)
        host = self.rfile.read(self.rfile.read(1)[0]).decode()
        (port,) = struct.unpack("!H", self.rfile.read(2))
        far = self.server.dial(host, port)
        self.connection.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        _pipe(self.connection, far)


def _pipe(near: socket.socket, far: socket.socket) -> None:
    back = threading.Thread(target=_copy, args=(far, near), daemon=True)
    back.start()
    _copy(near, far)
    back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # either side has hung up
        pass


@contextmanager
def proxy(scheme: str, hosts: Mapping[str, Address]) -> Iterator[tuple[str, list[Address]]]:
    """The URL of a running `http` or `socks5h` proxy, and whom it was asked for."""
    server = _Proxy(_Connect if scheme == "http" else _Socks, hosts)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}", server.asked
    finally:
        server.shutdown()
        server.server_close()
