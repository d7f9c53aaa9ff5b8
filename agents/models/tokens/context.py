"""Fitting a conversation into a model's context."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from agents.models.model import Message, PromptTooLong

Answer = TypeVar("Answer")

_SHRINK = 0.75
"""Of what was too long, so much is sent the next time."""


def longest_context(config: Any) -> int:
    """Tokens that a model was made for; where its configuration does not say, 512: T5 was trained on so many."""
    text = config.get_text_config(decoder=True)
    named = (
        getattr(text, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    )
    return next((length for length in named if isinstance(length, int) and length > 0), 512)


class Fitted(NamedTuple):
    messages: tuple[Message, ...]
    dropped: int
    """How many of the oldest messages were left out."""


async def fit(messages: Sequence[Message], room: int, size: Callable[[Sequence[Message]], Awaitable[int]]) -> Fitted:
    """The conversation, without its oldest turns where it has more than `room` tokens by `size`.

    System messages stay, and so does the last message; what follows the system messages begins with a user's.
    Raises PromptTooLong when not even that fits.
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
        raise PromptTooLong(
            f"the rules and the last observation alone exceed the {room} tokens that the context leaves for a prompt; "
            "serve the model with a longer context or lower max_tokens"
        )
    return Fitted(cuts[low], len(messages) - len(cuts[low]))


async def ask_fitting(
    messages: Sequence[Message],
    room: int,
    size: Callable[[Sequence[Message]], Awaitable[int]],
    ask: Callable[[Sequence[Message]], Awaitable[Answer]],
) -> tuple[Answer, int]:
    """What is answered to the conversation as `fit` shortens it, and how many of the oldest messages were left out.

    Whoever is asked may know better what fits: when it raises PromptTooLong, more turns are left out and it is asked
    again. Raises PromptTooLong when there are none to leave out.
    """
    refusal: PromptTooLong | None = None
    while True:
        try:
            fitted = await fit(messages, room, size)
        except PromptTooLong as error:
            raise refusal or error from None
        try:
            return await ask(fitted.messages), fitted.dropped
        except PromptTooLong as error:
            refusal, room = error, int(_SHRINK * await size(fitted.messages))


def _endings(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """All shortened conversations, longest first."""
    head = tuple(message for message in messages if message.role == "system")
    turns = [message for message in messages if message.role != "system"]
    starts = [index for index in range(1, len(turns)) if turns[index].role == "user"]
    return [(*head, *turns[index:]) for index in starts]
