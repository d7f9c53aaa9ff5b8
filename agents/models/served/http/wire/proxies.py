"""Which proxy the environment asks for. httpx reads it, too, but not all that users write there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from agents.models.model import ModelMisconfigured
from agents.models.served.http.address import ip_address, is_loopback
from agents.models.served.http.api_key import redact

_PORTS = {"http": 80, "https": 443}
_KNOWN = ("http", "https", "socks5", "socks5h")


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy through which `url` is reached; None for this machine's own servers and what NO_PROXY names.

    Raises ModelMisconfigured for a proxy that is of no kind that can be used here.
    """
    parts = urlsplit(url)
    proxy = _named(f"{parts.scheme}_proxy", environment) or _named("all_proxy", environment)
    if not proxy or is_loopback(parts) or _is_exempt(parts, _named("no_proxy", environment)):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        scheme, host = urlsplit(proxy).scheme, urlsplit(proxy).hostname
        _ = urlsplit(proxy).port
    except ValueError:
        scheme = host = None
    if scheme not in _KNOWN or not host:
        raise ModelMisconfigured(
            f"the proxy {redact(proxy)!r} of the environment cannot be used (known are {', '.join(_KNOWN)}); correct "
            f"{parts.scheme.upper()}_PROXY or ALL_PROXY, or put {parts.hostname} into NO_PROXY"
        )
    return proxy


def _named(name: str, environment: Mapping[str, str]) -> str:
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def _is_exempt(parts: SplitResult, exempt: str) -> bool:
    return any(_covers(entry, parts) for entry in re.split(r"[,\s]+", exempt) if entry)


def _covers(entry: str, parts: SplitResult) -> bool:
    """Whether an entry of NO_PROXY (a name, a domain, an address or a range of them) means it."""
    host = (parts.hostname or "").lower().rstrip(".")
    if entry == "*":
        return True
    address = ip_address(host)
    try:
        network = ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        network = None
    if network is not None:
        return address is not None and address in network
    name, port = _split_port(entry.lower())
    if port is not None and port != (parts.port or _PORTS[parts.scheme]):
        return False
    if address is not None:
        return ip_address(name) == address
    domain = name.removeprefix("*").removeprefix(".").rstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    found = re.fullmatch(r"(\[.*\]|[^:]*):(\d+)", entry)
    return (found[1], int(found[2])) if found else (entry, None)
