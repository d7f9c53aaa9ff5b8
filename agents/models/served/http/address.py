"""Where a server is: its base URL, checked before anything is sent there."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from agents.models.model import ModelMisconfigured
from agents.models.served.http.api_key import redact

_EXAMPLE = "http://127.0.0.1:8000/v1"


def check_address(url: str) -> str:
    """The base URL without a slash at its end, and with the "/v1" that every OpenAI-compatible server has where it has
    no path.

    Raises ModelMisconfigured for what is no such URL, and for one that holds a password, a key or a query.
    """
    shown = redact(url)[:200]  # enough to find it by, and no line that nobody can read
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError as error:
        raise ModelMisconfigured(f"base_url {shown!r} is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise ModelMisconfigured(f"base_url {shown!r} must look like {_EXAMPLE}")
    if "@" in parts.netloc:
        raise ModelMisconfigured(
            f"base_url {shown!r} holds a user name or password, which would be kept in the run's records; "
            "put the key into OPENAI_API_KEY, or into the variable that api_key_env names"
        )
    if parts.query or parts.fragment or url.rstrip("/").endswith(("?", "#")):
        raise ModelMisconfigured(
            f"base_url {shown!r} has something after its path; write it like {_EXAMPLE}, and put a key into "
            "OPENAI_API_KEY, or into the variable that api_key_env names"
        )
    clean = url.rstrip("/")
    return clean if parts.path.strip("/") else f"{clean}/v1"


def below(url: str, path: str) -> str:
    """`path` under a base URL; "../" leaves its "/v1"."""
    return url.removesuffix("/v1") + path.removeprefix("..") if path.startswith("../") else url + path


def ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is written as (in brackets, too); None for a name."""
    try:
        found = ipaddress.ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def is_loopback(parts: SplitResult) -> bool:
    """Whether a URL means this machine."""
    host = (parts.hostname or "").rstrip(".")
    found = ip_address(host)
    if found is not None:
        return found.is_loopback or found.is_unspecified
    return host == "localhost" or host.endswith(".localhost")
