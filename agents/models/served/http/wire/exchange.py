"""`Wire`: one question to a server over HTTP/1.1, and what may come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

MOST = 16 * 2**20
"""Bytes of a body, also decompressed, that are read."""

CONNECT = 10.0
"""Seconds until a server that cannot be connected to counts as gone."""

AT_ONCE = 512
"""Questions under way at one server; others wait for their turn."""


class WireFailed(Exception):
    """No whole answer came."""


class Unreachable(WireFailed):
    """Nobody listens there, or whoever does cannot be spoken with; `__cause__` says why."""


class NoConnection(WireFailed):
    """Whoever is asked for a connection does not answer."""


class Silence(WireFailed):
    """The server took the question and then said nothing, or not all, for too long."""


class BrokenOff(WireFailed):
    """The connection ended, or what came over it is no HTTP."""


class TooLong(WireFailed):
    """The body has more than MOST bytes."""


class Answered(NamedTuple):
    """`headers` by their names in small letters; `content` as it was sent, perhaps compressed."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Wire(Protocol):
    """Asks one server. Redirects are never followed: a key would go with them."""

    async def ask(self, method: str, url: str, content: bytes | None, within: float) -> Answered:
        """Send `content` (JSON; None for nothing) to `url`, which begins as the server's own address does.

        The whole may take `within` seconds.

        Raises WireFailed, and UnicodeError for an address that cannot be asked.
        """
        ...

    async def close(self) -> None: ...
