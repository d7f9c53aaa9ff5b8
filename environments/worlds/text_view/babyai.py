"""BabyAI's levels of one room (arXiv 1810.08272; minigrid), told in words as BabyAI-Text does (arXiv 2302.02662).

They need the extra "minigrid". Larger levels are made from the same parts by `babyai_world`.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

from environments.games.game import MissingData
from environments.spec import EnvSpec
from environments.worlds.text_view.view import TextView
from environments.worlds.text_view.worlds import gymnasium_world

ACTIONS = ("turn left", "turn right", "go forward", "pick up", "drop", "toggle")
"""minigrid's, in its order, without "done", which does nothing here."""
RULES = (
    "You are in a room, on a grid, and have a mission there. You see what lies before you and beside you, as far as "
    "six steps ahead and three to each side. You can turn, go one step forward, pick up the thing that is 1 step "
    "ahead, drop there what you carry, and toggle (open or close) the door or box that is there. You go to a thing "
    "by standing right before it and facing it. Fulfilling the mission after n of {steps} moves pays 1 - 0.9 n / "
    "{steps}; {steps} moves end the game."
)
WALL = 2
KINDS = {4: "door", 5: "key", 6: "ball", 7: "box"}
COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
DOORS = ("open", "closed", "locked")
SIDE, FRONT = 3, 6
"""Where the player stands in its picture of 7 × 7, looking along the second axis towards 0 (minigrid's constants)."""


def babyai(seen: Any, seat: int) -> str:
    """`seen` holds the mission and an image of shape (7, 7, 3): kind, colour and state of every field in view."""
    image: list[list[list[int]]] = seen["image"].tolist()
    held = image[SIDE][FRONT]
    there = [
        (abs(left) + ahead, f"{_thing(field)} {_place(ahead, left)}")
        for left, ahead, field in _fields(image)
        if field[0] in KINDS
    ]
    walls = [f"a wall {_place(*at)}" for at in _walls(image)]
    carried = f" You carry {_thing(held)}." if held[0] in KINDS else ""
    sights = [words for _, words in sorted(there)] + walls
    return f"Mission: {seen['mission']}.{carried} You see {'; '.join(sights) or 'nothing'}."


def _fields(image: list[list[list[int]]]) -> Iterator[tuple[int, int, list[int]]]:
    """Steps to the left (to the right where negative) and ahead, and what is there."""
    for column, fields in enumerate(image):
        for row, field in enumerate(fields):
            if (column, row) != (SIDE, FRONT):
                yield SIDE - column, FRONT - row, field


def _walls(image: list[list[list[int]]]) -> Iterator[tuple[int, int]]:
    """Straight ahead, to the left and to the right: where the first wall is, if it is in view."""
    walls = {(ahead, left) for left, ahead, field in _fields(image) if field[0] == WALL}
    for ahead, left in ((1, 0), (0, 1), (0, -1)):
        yield from [at for n in range(1, 7) if (at := (n * ahead, n * left)) in walls][:1]


def _thing(field: list[int]) -> str:
    kind, colour, state = field
    name = f"{COLOURS[colour]} {KINDS[kind]}"
    return f"a {DOORS[state]} {name}" if KINDS[kind] == "door" else f"a {name}"


def _place(ahead: int, left: int) -> str:
    side = f"{abs(left)} to the {'left' if left > 0 else 'right'}"
    steps = f"{ahead} {'step' if ahead == 1 else 'steps'} ahead"
    return side if not ahead else f"{steps} and {side}" if left else steps


def _make(name: str, steps: int) -> Any:
    """The level with the six actions that do something. Raises MissingData where the extra is not installed."""
    import gymnasium

    try:
        import minigrid  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]  registers its levels
    except ImportError:
        raise MissingData(f"{name} needs minigrid: pip install 'procmem[minigrid]'") from None
    six = gymnasium.spaces.Discrete(len(ACTIONS))

    class Quiet(gymnasium.Wrapper[Any, Any, Any, Any]):
        """A level says on standard output which of its drafts could not be played."""

        def reset(
            self, *, seed: int | None = None, options: dict[str, Any] | None = None
        ) -> tuple[Any, dict[str, Any]]:
            with contextlib.redirect_stdout(io.StringIO()):
                return super().reset(seed=seed, options=options)

    level: Any = gymnasium.make(name, disable_env_checker=True, max_steps=steps)
    return gymnasium.wrappers.TransformAction(Quiet(level), lambda action: action, six)


def babyai_world(name: str, steps: int, difficulty: int, summary: str) -> EnvSpec:
    """A level of BabyAI by its minigrid name, ended after so many moves."""
    view = TextView(RULES.format(steps=steps), ACTIONS, babyai, lambda total, ended: total > 0)
    return gymnasium_world(
        name,
        lambda: _make(name, steps),
        view,
        horizon=2 * steps,
        reward_range=(0.0, 1.0),
        family="BabyAI",
        difficulty=difficulty,
        summary=summary,
        needs="procmem[minigrid]",
    )


BABYAI: tuple[EnvSpec, ...] = (
    babyai_world("BabyAI-GoToLocal-v0", 64, 0, "Go to a thing, in one room."),
    babyai_world("BabyAI-PickupLoc-v0", 64, 1, "Pick up a thing, which may be told by where it is."),
    babyai_world("BabyAI-PutNextLocal-v0", 128, 2, "Put one thing next to another."),
)
