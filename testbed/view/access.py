"""`Guard`: who may read the page. Everybody else is refused before anything is read.

The page is served on loopback, where every program of every user of the machine, and every web page that the person at
the keyboard has open, can reach it. So each request needs all of these:

- the token, random and new for each server, as the first part of its path. It is no cookie: those of 127.0.0.1 are sent
  to whatever else listens there, on any port;
- a Host that is this server's own name: a stranger's domain that resolves to 127.0.0.1 (DNS rebinding) is none;
- no other page as its origin, by Origin and by Sec-Fetch-Site;
- a method that changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of our own pages: their script alone runs, and speaks with this server alone."""


def new_token() -> str:
    """256 random bits that an address can hold."""
    return secrets.token_urlsafe(32)


class Guard:
    """The application behind it sees only requests that may be answered; the token is its root path."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        token = str(scope["path"]).split("/", 2)[1]
        if refusal := self._refusal(headers, scope["method"], token):
            status, sentence = refusal
            answer = PlainTextResponse(sentence + "\n", status, headers=dict(ALWAYS))
            await answer(scope, receive, send)
            return
        await self._app({**scope, "root_path": f"/{token}"}, receive, _with_headers(send))

    def _refusal(self, headers: Headers, method: str, token: str) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if host not in self._hosts:
            return 403, "This page is at 127.0.0.1 or localhost only, with the port that procmem view printed."
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return 403, "Another page may not read this one."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "Another page may not lead here: open the address that procmem view printed by hand."
        if method not in ("GET", "HEAD"):
            return 405, "This page is for reading."
        if not secrets.compare_digest(token.encode(), self._token):
            return 401, "The token is wrong: open the whole address that procmem view printed."
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            wanted = {**ALWAYS, "Content-Security-Policy": PAGE}
            message["headers"] = [
                *message["headers"],
                *(
                    (name.encode(), value.encode())
                    for name, value in wanted.items()
                    if name.lower().encode() not in there
                ),
            ]
        await send(message)

    return sending
