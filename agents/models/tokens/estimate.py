"""How many tokens a conversation has, where there is no tokenizer: learned from what servers say their prompts cost."""

from __future__ import annotations

from collections.abc import Sequence

from agents.models.model import Message

_FIRST = 0.5
"""Tokens a byte while nothing is known: measured on our games up to 0.5, as boards are mostly digits and blanks."""
_MARGIN = 1.1
"""Later turns may have more tokens a byte than those that were counted."""
_TURN = 8
"""Tokens that a chat template spends on one message, generously."""


class TokenEstimate:
    """One conversation's. Only its own answers teach it, so that what is left out of its prompts does not depend on
    which other conversations were under way."""

    def __init__(self) -> None:
        self._rate: float | None = None

    def learn(self, messages: Sequence[Message], prompt_tokens: int) -> None:
        """These messages had so many tokens; 0 says nothing."""
        if prompt_tokens > 0:
            rate = _MARGIN * prompt_tokens / max(1, _bytes(messages))
            self._rate = max(rate, self._rate or 0.0)

    async def size(self, messages: Sequence[Message]) -> int:
        """Tokens of a conversation, rather too many than too few."""
        if self._rate is not None:  # it counts the template's own tokens, too
            return round(self._rate * _bytes(messages))
        return round(_FIRST * _bytes(messages)) + _TURN * len(messages)


class TokenEstimates:
    """One estimate a session, until it is over."""

    def __init__(self) -> None:
        self._sessions: dict[str, TokenEstimate] = {}

    def of(self, session: str) -> TokenEstimate:
        """A conversation without a session is a new one each time."""
        return self._sessions.setdefault(session, TokenEstimate()) if session else TokenEstimate()

    def forget(self, session: str) -> None:
        self._sessions.pop(session, None)


def _bytes(messages: Sequence[Message]) -> int:
    texts = [message.content for message in messages]
    return (
        sum(map(len, texts)) if all(map(str.isascii, texts)) else sum(len(t.encode("utf-8", "replace")) for t in texts)
    )
