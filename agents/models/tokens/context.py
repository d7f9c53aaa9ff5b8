"""Fitting a conversation into a model's context."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from agents.models.model import Message, ModelError


class Fitted(NamedTuple):
    messages: tuple[Message, ...]
    dropped: int
    """How many of the oldest messages were left out."""


async def fit(messages: Sequence[Message], room: int, size: Callable[[Sequence[Message]], Awaitable[int]]) -> Fitted:
    """The conversation, without its oldest turns where it has more than `room` tokens by `size`.

    System messages stay, and so does the last message; what follows the system messages begins with a user's.
    Raises ModelError when not even that fits.
    """
    if await size(messages) <= room:
        return Fitted(tuple(messages), 0)
    cuts = _endings(messages)
    low, high = 0, len(cuts)  # the first ending that fits lies in cuts[low:high]
    while low < high:
        middle = (low + high) // 2
        if await size(cuts[middle]) <= room:
            high = middle
        else:
            low = middle + 1
    if low == len(cuts):
        raise ModelError(
            f"the rules and the last observation alone exceed the {room} tokens that the context leaves for a prompt; "
            "serve the model with a longer context or lower max_tokens"
        )
    return Fitted(cuts[low], len(messages) - len(cuts[low]))


def _endings(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """All shortened conversations, longest first."""
    head = tuple(message for message in messages if message.role == "system")
    turns = [message for message in messages if message.role != "system"]
    starts = [index for index in range(1, len(turns)) if turns[index].role == "user"]
    return [(*head, *turns[index:]) for index in starts]
