"""From the bytes of an answer to its JSON."""

from __future__ import annotations

import codecs
import json

_DEPTH = 64
"""Levels of nesting; whatever is deeper is no answer, and would end in a RecursionError further on."""


def decode(body: bytes, charset: str | None) -> str:
    """The text of a body: in the charset that it declares where there is such a one and it fits, else in UTF-8.

    What is no text in it becomes U+FFFD.
    """
    try:
        if charset is not None and codecs.lookup(charset).name not in ("utf-8", "ascii"):
            return body.decode(charset)
    except (LookupError, ValueError):  # no such charset, one that is no text encoding, or another than declared
        pass
    return body.decode("utf-8-sig", "replace")


def parse(text: str) -> object:
    """The JSON in `text`; None where there is none, or it is nested too deep or has numbers too long to be read."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return None if _may_be_deep(text) and _is_deep(value) else value


def _may_be_deep(text: str) -> bool:
    return text.count("{") + text.count("[") >= _DEPTH


def _is_deep(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(_DEPTH):
        inner = [item for item in level if isinstance(item, dict | list)]
        if not inner:
            return False
        level = [child for item in inner for child in (item.values() if isinstance(item, dict) else item)]
    return True
