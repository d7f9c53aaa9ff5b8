"""The games: each one an `EnvSpec`, plain data under its id in `ENVIRONMENTS`."""

from __future__ import annotations

import difflib

from environments.diagnostics.boxes import BOXES
from environments.diagnostics.dial import DIALS
from environments.diagnostics.doors import DOORS
from environments.diagnostics.levers import LEVERS
from environments.spec import EnvSpec
from environments.text_arena.specs import GAMES

__all__ = ["ENVIRONMENTS", "EnvSpec", "UnknownEnvironment", "find"]


class UnknownEnvironment(LookupError):
    """No environment of that name; the message names the nearest ones."""


ENVIRONMENTS: dict[str, EnvSpec] = {spec.id: spec for spec in (*GAMES, *DOORS, *BOXES, *DIALS, *LEVERS)}


def find(name: str) -> EnvSpec:
    """The environment of ours called `name`. Raises UnknownEnvironment, naming the nearest ones."""
    if name in ENVIRONMENTS:
        return ENVIRONMENTS[name]
    near = difflib.get_close_matches(name, ENVIRONMENTS, n=3, cutoff=0.5)
    raise UnknownEnvironment(
        f"no environment is called {name!r}; "
        + (f"the nearest are {', '.join(near)}" if near else "`procmem list environments` names them all")
    )
