"""How long a server asks to be left alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from agents.models.served.answers.values import number


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds from `now`, of a Retry-After in seconds or as a date (RFC 9110, 10.2.3), or in milliseconds.

    None where nothing that can be read is said.
    """
    milliseconds = number(headers.get("retry-after-ms"))
    if milliseconds is not None and milliseconds >= 0:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = number(value)
    if seconds is not None or value is None:
        return seconds if seconds is not None and seconds >= 0 else None
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
