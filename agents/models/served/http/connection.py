"""`Connection`: one server, asked one bounded question at a time."""

from __future__ import annotations

import os
import ssl
import time
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx

from agents.models.model import ModelError, ModelMisconfigured
from agents.models.served.answers.body import decode, parse
from agents.models.served.http.address import below
from agents.models.served.http.failure import Reply, TryFailed
from agents.models.served.http.proxies import proxy_for
from agents.models.served.http.retry_after import read_retry_after

MOST = 16 * 2**20
"""Bytes of a body, decompressed, that are read."""

_CONNECT = 10.0
"""Seconds until a server that cannot be connected to counts as gone."""

_PASSES = 2
"""The whole of one try may take so many times its longest silence: the answer comes after it was written."""

_GZIP = 32 + zlib.MAX_WBITS


class Connection:
    """`url` and what is known of the server behind it. Redirects are never followed: a key would go with them."""

    def __init__(self, url: str, *, key: str | None, timeout: float) -> None:
        """`timeout` is the longest silence (seconds) within a try, and half of what a whole try may take.

        Raises ModelMisconfigured for a proxy in the environment that cannot be used.
        """
        self.url = url
        self.timeout = timeout
        proxy = _proxy(url)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=min(_CONNECT, timeout), pool=None),
            limits=httpx.Limits(max_connections=512, max_keepalive_connections=64),
            headers={"Accept-Encoding": "gzip"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            # Whom to trust: SSL_CERT_FILE and SSL_CERT_DIR count here as they do everywhere.
            verify=httpx.create_ssl_context() if "https:" in f"{url} {proxy}" else False,
            proxy=proxy,
            trust_env=False,  # the environment's proxy is chosen here
        )

    async def ask(self, path: str, body: Mapping[str, Any] | None = None, *, within: float | None = None) -> Reply:
        """Get `path`, or post `body` to it, in at most `within` seconds.

        Raises TryFailed where no whole answer comes, ModelError for one that is longer than anybody should send.
        """
        limit = within or _PASSES * self.timeout
        began = time.monotonic()
        try:
            with anyio.fail_after(limit):
                method = "GET" if body is None else "POST"
                async with self._client.stream(method, below(self.url, path), json=body) as response:
                    return await self._read(response)
        except (TimeoutError, httpx.TimeoutException) as error:
            if isinstance(error, httpx.ConnectTimeout):
                raise TryFailed("cannot be reached (it does not answer)", refused=True) from error
            passed = time.monotonic() - began
            raise TryFailed(f"did not answer in time (within {passed:.3g} s)", silent=True) from error
        except httpx.ConnectError as error:
            _check_encryption(self.url, error)
            raise TryFailed("cannot be reached (connection refused, or no such host)", refused=True) from error
        except (httpx.TransportError, httpx.StreamError, zlib.error) as error:
            raise TryFailed(f"broke off the connection ({type(error).__name__})") from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ModelMisconfigured(f"{self.url} cannot be asked: {error}; correct base_url") from error

    async def is_up(self) -> bool:
        """Whether the server answers anything at all."""
        try:
            return (await self.ask("/models", within=min(_CONNECT, self.timeout))).status < 500
        except TryFailed:
            return False
        except ModelError:
            return True

    async def close(self) -> None:
        await self._client.aclose()

    async def _read(self, response: httpx.Response) -> Reply:
        content = await self._content(response)
        plain = decode(content, response.charset_encoding)
        headers = response.headers
        pause = read_retry_after(headers, datetime.now(UTC))
        return Reply(response.status_code, headers, parse(plain), plain[:1000], pause)

    async def _content(self, response: httpx.Response) -> bytes:
        """The body, decompressed by no more than what may be kept: ten megabytes of gzip can be ten gigabytes."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
            raise ModelError(f"{self.url} answers compressed as {encoding[:20]!r}, which was not asked for")
        inflate = zlib.decompressobj(_GZIP) if encoding.strip("x-") in ("gzip", "deflate") else None
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk if inflate is None else inflate.decompress(chunk, MOST + 1 - len(content))
            if len(content) > MOST:
                raise ModelError(
                    f"{self.url} answers with more than {MOST >> 20} MB, which is not read; is it an OpenAI-compatible "
                    "server, and max_tokens as small as it can be?"
                )
        return bytes(content)


def _check_encryption(url: str, error: BaseException | None) -> None:
    """Raises ModelMisconfigured where the handshake failed: another try would fail as well."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLCertVerificationError):
        raise ModelMisconfigured(
            f"{url}: its certificate is not trusted ({error.verify_message}); name the file of its authority in "
            "SSL_CERT_FILE, or the host that the certificate is for in base_url"
        ) from error
    if error is not None and "WRONG_VERSION_NUMBER" in str(error):
        raise ModelMisconfigured(f"{url} does not speak TLS; write http:// in base_url") from error


def _proxy(url: str) -> str | None:
    proxy = proxy_for(url, os.environ)
    if proxy is not None and proxy.startswith("socks"):
        try:
            import socksio  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]
        except ImportError:
            raise ModelMisconfigured(
                f"{url} is reached through a SOCKS proxy (ALL_PROXY), for which a package is missing: "
                "pip install 'httpx[socks]', or put the host into NO_PROXY"
            ) from None
    return proxy
