"""What somebody may have meant who wrote a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[str], cutoff: float = 0.5) -> str:
    """The question that ends a sentence on an unknown name; "" where none of those known is like it."""
    nearest = difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)
    return f"did you mean {nearest[0]!r}?" if nearest else ""
