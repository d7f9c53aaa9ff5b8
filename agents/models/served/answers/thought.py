"""Telling what a model thought aloud from what it answered."""

from __future__ import annotations

import re
from typing import NamedTuple

_TAG = r"(think|thinking|thought|reasoning)"
_LEADING = re.compile(rf"\s*<{_TAG}>(.*?)(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_CLOSING = re.compile(rf"(.*?)</{_TAG}>", re.DOTALL | re.IGNORECASE)
_CHANNEL = re.compile(
    r"\A\s*(?:<\|start\|>assistant)?<\|channel\|>(?!final)(.*?)<\|channel\|>final<\|message\|>", re.DOTALL
)
_MARKS = re.compile(r"<\|[a-z]+\|>(?:assistant\b)?(?:analysis\b|commentary\b)?")


class Split(NamedTuple):
    thought: str
    answer: str


def split(text: str) -> Split:
    """A leading thought, and what follows it. One that never ends leaves no answer.

    Known are tags (`<think>…</think>`, also where the chat template has opened it already) and OpenAI's channels.
    """
    if "<" not in text:
        return Split("", text)
    if (found := _LEADING.match(text)) is not None:
        return Split(found[2].strip(), text[found.end() :].lstrip())
    if (found := _CHANNEL.match(text)) is not None:
        return Split(_MARKS.sub("", found[1]).strip(), _MARKS.sub("", text[found.end() :]).strip())
    if (found := _CLOSING.match(text)) is not None:
        return Split(found[1].strip(), text[found.end() :].lstrip())
    return Split("", text)
