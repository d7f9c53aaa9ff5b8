"""Keys of servers: read from the environment by name, and kept out of everything that is said or stored."""

from __future__ import annotations

import os
import re

from agents.models.model import ModelMisconfigured

DEFAULT = "OPENAI_API_KEY"

_LEAST = 8
"""Characters; what is shorter ("EMPTY", "none") is no secret, and may stand in any text."""

_known: set[str] = set()
"""The keys that this process has read."""

_USERINFO = re.compile(r"(?<=://)[^/\s'\"]*@")
_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#'\"<>]*)[?#][^\s'\"<>]*", re.IGNORECASE)


def read_key(variable: str | None = None) -> str | None:
    """The key in an environment variable, by default OPENAI_API_KEY where it is set.

    Raises ModelMisconfigured where a variable that was named is not set, and for a key that cannot be sent.
    """
    name = variable or DEFAULT
    key = os.environ.get(name, "")
    if not key:
        if variable is None:
            return None
        raise ModelMisconfigured(f"api_key_env names {variable}, which is not set; export {variable}=…")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ModelMisconfigured(
            f"the key in {name} holds a blank, a line break or a letter that no key has; set it again, without quotes "
            "and without what follows it"
        )
    if len(key) >= _LEAST:
        _known.add(key)
    return key


def redact(text: str) -> str:
    """`text` without the keys that were read, and without user names, passwords and queries in URLs."""
    for key in sorted(_known, key=len, reverse=True):
        text = text.replace(key, "[key]")
    if "://" not in text:
        return text
    return _QUERY.sub(r"\1", _USERINFO.sub("", text))
