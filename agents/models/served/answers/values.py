"""Single values out of a server's JSON, whatever type they came in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

Json = Mapping[str, Any]


def mapping(value: object) -> Json:
    """The object itself, or an empty one for anything else."""
    return cast(Json, value) if isinstance(value, dict) else {}


def items(value: object) -> Sequence[object]:
    """The list itself, or an empty one for anything else."""
    return cast(list[object], value) if isinstance(value, list) else []


def number(value: object) -> float | None:
    """A finite number, also where it came as text; None for anything else (a truth value among it)."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def count(*values: object) -> int:
    """The first of `values` that is a number not below zero, as an integer; else 0."""
    for value in values:
        if type(value) is int and 0 <= value < 2**53:  # nearly always
            return value
        read = number(value)
        if read is not None and 0 <= read < 2**53:
            return int(read)
    return 0


def text(value: object) -> str:
    """A text as it is, nothing for null, and anything else as the JSON it was."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def line(value: object, limit: int = 300) -> str:
    """A value in one printable line of at most `limit` characters."""
    spelled = "".join(char if char.isprintable() else " " for char in text(value))
    return " ".join(spelled.split())[:limit]
