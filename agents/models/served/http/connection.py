"""`Connection`: one server, asked one bounded question at a time."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic_core import PydanticSerializationError, to_json

from agents.models.model import ModelError, ModelMisconfigured
from agents.models.served.answers.body import decode, parse
from agents.models.served.http.address import below
from agents.models.served.http.failure import Reply, TryFailed
from agents.models.served.http.retry_after import read_retry_after
from agents.models.served.http.wire.direct import DirectWire
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
    Wire,
)
from agents.models.served.http.wire.proxied import ProxiedWire
from agents.models.served.http.wire.proxies import proxy_for

_PASSES = 2
"""The whole of one try may take so many times its longest silence: the answer comes after it was written."""

_GZIP = 32 + zlib.MAX_WBITS

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)


class Connection:
    """`url` and what is known of the server behind it. Redirects are never followed: a key would go with them."""

    def __init__(self, url: str, *, key: str | None, timeout: float) -> None:
        """`timeout` is the longest silence (seconds) within a try, and half of what a whole try may take.

        Raises ModelMisconfigured for a proxy in the environment that cannot be used.
        """
        self.url = url
        self.timeout = timeout
        headers = {"Accept-Encoding": "gzip"} | ({"Authorization": f"Bearer {key}"} if key else {})
        proxy = proxy_for(url, os.environ)
        # Whom to trust: SSL_CERT_FILE and SSL_CERT_DIR count here as they do everywhere.
        tls = httpx.create_ssl_context() if "https:" in f"{url} {proxy}" else None
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._wire: Wire
        if proxy is None:
            self._wire = DirectWire(url, headers, timeout=timeout, tls=tls)
        else:
            self._wire = ProxiedWire(url, headers, timeout=timeout, tls=tls, proxy=proxy)

    async def ask(self, path: str, body: Mapping[str, Any] | None = None, *, within: float | None = None) -> Reply:
        """Get `path`, or post `body` to it, in at most `within` seconds.

        Raises TryFailed where no whole answer comes, ModelError for one that is longer than anybody should send.
        """
        limit = within or _PASSES * self.timeout
        began = time.monotonic()
        try:
            async with self._turns:  # who waits for a turn holds no bytes yet
                left = limit - (time.monotonic() - began)
                if left <= 0:
                    raise Silence
                content = None if body is None else to_json(body)
                method = "GET" if body is None else "POST"
                answered = await self._wire.ask(method, below(self.url, path), content, left)
            return self._read(answered)
        except NoConnection as error:
            raise TryFailed("cannot be reached (it does not answer)", refused=True) from error
        except Silence as error:
            passed = time.monotonic() - began
            raise TryFailed(f"did not answer in time (within {passed:.3g} s)", silent=True) from error
        except Unreachable as error:
            _check_encryption(self.url, error)
            raise TryFailed("cannot be reached (connection refused, or no such host)", refused=True) from error
        except (BrokenOff, zlib.error) as error:
            raise TryFailed(f"broke off the connection ({error})") from error
        except TooLong as error:
            raise self._too_long() from error
        except (UnicodeError, PydanticSerializationError) as error:
            raise ModelMisconfigured(f"{self.url} cannot be asked: {error}; correct base_url") from error

    async def is_up(self) -> bool:
        """Whether the server answers anything at all."""
        try:
            return (await self.ask("/models", within=min(CONNECT, self.timeout))).status < 500
        except TryFailed:
            return False
        except ModelError:
            return True

    async def close(self) -> None:
        await self._wire.close()

    def _read(self, answered: Answered) -> Reply:
        headers = answered.headers
        charset = _CHARSET.search(headers.get("content-type", ""))
        plain = decode(self._content(answered), charset[1] if charset else None)
        pause = read_retry_after(headers, datetime.now(UTC))
        return Reply(answered.status, headers, parse(plain), plain[:1000], pause)

    def _content(self, answered: Answered) -> bytes:
        """The body, decompressed by no more than what may be kept: ten megabytes of gzip can be ten gigabytes."""
        encoding = answered.headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("identity", ""):
            return answered.content
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise ModelError(f"{self.url} answers compressed as {encoding[:20]!r}, which was not asked for")
        content = zlib.decompressobj(_GZIP).decompress(answered.content, MOST + 1)
        if len(content) > MOST:
            raise self._too_long()
        return content

    def _too_long(self) -> ModelError:
        return ModelError(
            f"{self.url} answers with more than {MOST >> 20} MB, which is not read; is it an OpenAI-compatible "
            "server, and max_tokens as small as it can be?"
        )


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
