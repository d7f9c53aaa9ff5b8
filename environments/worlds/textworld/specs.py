"""TextWorld's coin collector and cooking games (https://github.com/microsoft/TextWorld) as two graded families."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from environments.grammar import Regex
from environments.spec import EnvSpec

EXTRA = "procmem[textworld]"
GRAMMAR = Regex("[a-zA-Z][a-zA-Z0-9 '-]{2,98}")
"""Whatever reads like a command; at each moment the admissible ones are the grammar."""
COIN = (
    "You are in a house of several rooms. Somewhere there is a coin: find it and take it. Each turn you write one "
    "command: look · inventory · go north · go south · go east · go west · take THING · drop THING · examine THING. "
    "You have {steps} commands. Taking the coin pays 1."
)
COOKING = (
    "You are hungry. Find the cookbook in the kitchen and read it (examine cookbook), take every ingredient, prepare "
    "each one just as the recipe says, then prepare the meal in the kitchen and eat it. Each turn you write one "
    "command: look · inventory · go DIRECTION · open THING · close THING · examine THING · take THING · take THING "
    "from PLACE · drop THING · put THING on PLACE · insert THING into PLACE · cook THING with THING · slice, chop or "
    "dice THING with THING · prepare meal · eat THING. An oven roasts, a stove fries, a BBQ grills. What is prepared "
    "wrongly or eaten too early ends the game. You have {steps} commands. Each step of the recipe pays its share of 1."
)


def _world(
    id: str, challenge: str, settings: Mapping[str, Any], rules: str, steps: int, difficulty: int, summary: str
) -> EnvSpec:
    def make() -> Any:
        from environments.games.aec import TextEnv
        from environments.worlds.textworld.game import GeneratedGame, require_textworld, workshop

        require_textworld(id)
        game = partial(GeneratedGame, challenge, settings, rules.format(steps=steps), workshop().name)
        return TextEnv(game, id=id, seats=1, grammar=GRAMMAR, horizon=steps, reward_range=(0.0, 1.0))

    family = f"TextWorld-{challenge.capitalize()}"
    return EnvSpec(
        *(id, make, 1, GRAMMAR, steps, (0.0, 1.0), family, difficulty, summary),
        needs=EXTRA,
        package="textworld",
        remote=True,
    )


def _coin(id: str, level: int, steps: int, difficulty: int, summary: str) -> EnvSpec:
    """`level` is TextWorld's: rooms on the way, plus 100 for one dead end at each of them, 200 for two."""
    return _world(id, "coin", {"level": level}, COIN, steps, difficulty, summary)


def _cooking(id: str, steps: int, difficulty: int, summary: str, **settings: Any) -> EnvSpec:
    """`settings` as TextWorld's cooking game takes them: ingredients, how many to be found, skills needed, rooms."""
    return _world(id, "cooking", settings, COOKING, steps, difficulty, summary)


TEXTWORLD: tuple[EnvSpec, ...] = (
    _coin("TextWorld-Coin-v0", 5, 25, 0, "Find a coin at the end of five rooms."),
    _coin("TextWorld-Coin-v0-medium", 107, 50, 1, "Find a coin seven rooms away, among seven dead ends."),
    _coin("TextWorld-Coin-v0-hard", 210, 100, 2, "Find a coin ten rooms away, among twenty others."),
    _cooking("TextWorld-Cooking-v0", 20, 0, "Cook a meal of one ingredient in a kitchen.", recipe=1, take=1, go=1),
    _cooking(
        "TextWorld-Cooking-v0-medium", 40, 1, "Cook a meal of two ingredients, to be cut and cooked, in a kitchen.",
        recipe=2, take=2, cut=True, cook=True, open=True, go=1,
    ),
    _cooking(
        "TextWorld-Cooking-v0-hard", 80, 2, "Cook a meal of three ingredients, to be cut and cooked, in six rooms.",
        recipe=3, take=3, cut=True, cook=True, open=True, go=6,
    ),
)  # fmt: skip
