"""The games: each one an `EnvSpec`, plain data under its id in `ENVIRONMENTS`."""

from __future__ import annotations

import difflib
import importlib
from importlib.metadata import entry_points

from environments.diagnostics.boxes import BOXES
from environments.diagnostics.dial import DIALS
from environments.diagnostics.doors import DOORS
from environments.diagnostics.levers import LEVERS
from environments.spec import EnvSpec
from environments.text_arena.specs import GAMES

__all__ = ["ENVIRONMENTS", "EnvSpec", "UnknownEnvironment", "find"]

ENTRY_POINTS = "procmem.environments"
"""Group of the entry points (each an EnvSpec, or a callable that returns one) by which packages add environments."""


class UnknownEnvironment(LookupError):
    """No environment of that name; the message names the nearest ones."""


ENVIRONMENTS: dict[str, EnvSpec] = {spec.id: spec for spec in (*GAMES, *DOORS, *BOXES, *DIALS, *LEVERS)}


def find(name: str) -> EnvSpec:
    """The environment called `name`: an id, else `package.module:attribute`, else an installed entry point.

    The attribute is an EnvSpec or a callable that returns one. Raises UnknownEnvironment.
    """
    if name in ENVIRONMENTS:
        return ENVIRONMENTS[name]
    if ":" in name:
        return _imported(name)
    plugins = {plugin.name: plugin for plugin in entry_points(group=ENTRY_POINTS)}
    if name in plugins:
        return _as_spec(name, plugins[name].load())
    near = difflib.get_close_matches(name, [*ENVIRONMENTS, *plugins], n=3, cutoff=0.5)
    raise UnknownEnvironment(
        f"no environment is called {name!r}; "
        + (f"the nearest are {', '.join(near)}" if near else "`procmem list environments` names them all")
    )


def _imported(name: str) -> EnvSpec:
    place, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(place), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownEnvironment(
            f"environment {name!r} cannot be imported ({error}); is its package installed or its folder on PYTHONPATH?"
        ) from error
    return _as_spec(name, found)


def _as_spec(name: str, found: object) -> EnvSpec:
    spec = found() if callable(found) else found
    if not isinstance(spec, EnvSpec):
        raise UnknownEnvironment(f"environment {name!r} gives a {type(spec).__name__}, not an EnvSpec")
    return spec
