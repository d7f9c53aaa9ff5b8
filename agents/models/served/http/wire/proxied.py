"""`ProxiedWire`: through an HTTP or SOCKS proxy, by httpx."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import anyio
import httpx

from agents.models.model import ModelMisconfigured
from agents.models.served.http.wire.exchange import (
    AT_ONCE,
    CONNECT,
    MOST,
    Answered,
    BrokenOff,
    NoConnection,
    Silence,
    TooLong,
    Unreachable,
)


class ProxiedWire:
    """Asks the server at one address through a proxy."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, timeout: float, tls: ssl.SSLContext | None, proxy: str
    ) -> None:
        """As `DirectWire`. Raises ModelMisconfigured where a package is missing for this kind of proxy."""
        if proxy.startswith("socks"):
            try:
                import socksio  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
            except ImportError:
                raise ModelMisconfigured(
                    f"{url} is reached through a SOCKS proxy (ALL_PROXY), for which a package is missing: "
                    "pip install 'httpx[socks]', or put the host into NO_PROXY"
                ) from None
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=min(CONNECT, timeout), pool=None),
            limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=64),
            headers=headers,
            verify=tls or False,
            proxy=proxy,
            trust_env=False,  # the environment's proxy was chosen already
        )

    async def ask(self, method: str, url: str, content: bytes | None, within: float) -> Answered:
        """As `Wire.ask`."""
        kind = {} if content is None else {"Content-Type": "application/json"}
        body = bytearray()
        try:
            with anyio.fail_after(within):
                async with self._client.stream(method, url, content=content, headers=kind) as response:
                    async for chunk in response.aiter_raw():
                        body += chunk
                        if len(body) > MOST:
                            raise TooLong
                    return Answered(response.status_code, response.headers, bytes(body))
        except httpx.ConnectTimeout as error:
            raise NoConnection from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Silence from error
        except httpx.ConnectError as error:
            raise Unreachable(str(error)) from error
        except (httpx.TransportError, httpx.StreamError) as error:
            raise BrokenOff(type(error).__name__) from error
        except httpx.InvalidURL as error:
            raise UnicodeError(str(error)) from error

    async def close(self) -> None:
        await self._client.aclose()
