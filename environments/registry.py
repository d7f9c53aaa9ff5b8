"""The games: each one an `EnvSpec`, plain data under its id in `ENVIRONMENTS`."""

from __future__ import annotations

from environments.diagnostics.boxes import BOXES
from environments.diagnostics.dial import DIALS
from environments.diagnostics.doors import DOORS
from environments.diagnostics.levers import LEVERS
from environments.spec import EnvSpec
from environments.worlds.text_arena.specs import GAMES
from environments.worlds.text_view.classic import CLASSIC
from environments.worlds.text_view.toy_text import TOY_TEXT

ENVIRONMENTS: dict[str, EnvSpec] = {
    spec.id: spec for spec in (*GAMES, *DOORS, *BOXES, *DIALS, *LEVERS, *CLASSIC, *TOY_TEXT)
}
