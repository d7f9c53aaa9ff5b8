"""Named choices of a memory: its official code's defaults, and where a study departs from them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from transfer.nppo.config import ChoiceError


class MemoryChoices(BaseModel):
    """Every default is the official code's; a subclass says where it is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, given: Mapping[str, Any], place: str) -> Self:
        """Raises ChoiceError, naming the nearest valid name or value. `place` is the memory's."""
        for name in given:
            if name not in cls.model_fields:
                near = difflib.get_close_matches(str(name), cls.model_fields, n=1, cutoff=0.5)
                remedy = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(cls.model_fields) or 'none'}"
                raise ChoiceError(f"{place}: choices.{name}: no such choice; {remedy}")
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise ChoiceError(f"{place}: choices.{field}: {first['msg']} (got {first['input']!r})") from None
