"""Five families of TextWorld-Express (https://github.com/cognitiveailab/TextWorldExpress, arXiv 2208.01174).

Things are put where they belong (ALFWorld's kind of task), meals cooked (TextWorld's), coins fetched by a map,
quantities put in order, sums done. `split=test` has other things in the first; in the others,
other games.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, get_args

from environments.grammar import Regex
from environments.spec import ChoiceError, EnvSpec
from environments.worlds.textworld_express.game import ExpressGame, Split, require_textworld_express

EXTRA = "procmem[textworld-express], Java"
GRAMMAR = Regex("[a-zA-Z0-9][a-zA-Z0-9 ',.-]{2,118}")
"""Whatever reads like a command; at each moment the admissible ones are the grammar."""
COMMANDS = "Each turn you write one command: {commands}. You have {steps} commands. {pays}"
ROOMS = "look around · inventory · move DIRECTION · open THING · close THING · take THING · "
PLAIN = {"includeDoors": 0, "limitInventorySize": 0}


def _world(
    id: str,
    game: str,
    settings: Mapping[str, int],
    rules: str,
    steps: int,
    difficulty: int,
    summary: str,
    split: Split = "train",
) -> EnvSpec:
    def make() -> Any:
        from environments.games.aec import TextEnv

        require_textworld_express(id)
        build = partial(ExpressGame, game, settings, rules.format(steps=steps), split)
        return TextEnv(build, id=id, seats=1, grammar=GRAMMAR, horizon=steps, reward_range=(0.0, 1.0))

    def choose(text: str) -> EnvSpec:
        return _world(f"{id}:{text}", game, settings, rules, steps, difficulty, summary, _split(text))

    return EnvSpec(
        id,
        make,
        1,
        GRAMMAR,
        steps,
        (0.0, 1.0),
        "-".join(id.split("-")[:2]),
        difficulty,
        summary,
        needs=EXTRA,
        remote=True,
        choose=choose,
    )


def _split(text: str) -> Split:
    key, _, value = text.partition("=")
    for split in get_args(Split):
        if (key, value) == ("split", split):
            return split
    raise ChoiceError(f"{text!r} is no choice; write split=train, split=dev or split=test")


def _rules(commands: str, pays: str) -> str:
    return COMMANDS.format(commands=commands, pays=pays, steps="{steps}")


PUT = _rules(f"{ROOMS}put THING in PLACE", "Each thing pays half its share of 1 when it is taken, half in its place.")
COOK = _rules(
    f"{ROOMS}read cookbook · slice, dice or chop THING · cook THING in PLACE · prepare meal · eat meal",
    "Each step of the recipe pays its share of 1; what is prepared wrongly ends the game.",
)
FETCH = _rules(
    "look around · inventory · read map · move DIRECTION · take THING · put THING in box",
    "The coin pays .5 when it is taken and .5 in the box.",
)
ANSWER = _rules(
    "look around · inventory · read math problem · take THING · put THING in box",
    "The right thing pays .5 when it is taken and .5 in the box; a wrong one in the box takes back what was paid and "
    "ends the game.",
)
SORT = _rules(
    "look around · inventory · take THING · put THING in box",
    "Each thing in its turn pays its share of 1; a wrong one takes back what was paid and ends the game.",
)


def _put(id: str, rooms: int, things: int, steps: int, difficulty: int, summary: str) -> EnvSpec:
    settings = {"numLocations": rooms, "numItemsToPutAway": things, **PLAIN}
    return _world(id, "twc", settings, PUT, steps, difficulty, summary)


def _cook(id: str, rooms: int, ingredients: int, others: int, steps: int, difficulty: int, summary: str) -> EnvSpec:
    settings = {"numLocations": rooms, "numIngredients": ingredients, "numDistractorItems": others, **PLAIN}
    return _world(id, "cookingworld", settings, COOK, steps, difficulty, summary)


def _fetch(id: str, rooms: int, away: int, others: int, steps: int, difficulty: int, summary: str) -> EnvSpec:
    settings = {"numLocations": rooms, "maxDistanceApart": away, "maxDistractorItemsPerLocation": others, **PLAIN}
    return _world(id, "mapreader", settings, FETCH, steps, difficulty, summary)


TEXTWORLD_EXPRESS: tuple[EnvSpec, ...] = (
    _put("TextWorldExpress-Commonsense-v0", 1, 1, 15, 0, "Put one thing where it belongs, in one room."),
    _put("TextWorldExpress-Commonsense-v0-medium", 2, 2, 30, 1, "Put two things where they belong, in two rooms."),
    _put("TextWorldExpress-Commonsense-v0-hard", 3, 4, 60, 2, "Put four things where they belong, in three rooms."),
    _cook("TextWorldExpress-Cooking-v0", 1, 1, 0, 20, 0, "Cook a meal of one ingredient in a kitchen."),
    _cook("TextWorldExpress-Cooking-v0-medium", 3, 2, 3, 40, 1, "Cook a meal of two ingredients from three rooms."),
    _cook("TextWorldExpress-Cooking-v0-hard", 6, 3, 6, 80, 2, "Cook a meal of three ingredients from six rooms."),
    _fetch("TextWorldExpress-MapReader-v0", 5, 2, 0, 20, 0, "Fetch a coin from two rooms away, by a map of five."),
    _fetch("TextWorldExpress-MapReader-v0-medium", 10, 3, 1, 30, 1, "Fetch a coin from three rooms away, by a map."),
    _fetch("TextWorldExpress-MapReader-v0-hard", 15, 4, 2, 40, 2, "Fetch a coin from four rooms away, by a map."),
    _world("TextWorldExpress-Arithmetic-v0", "arithmetic", {}, ANSWER, 15, 0, "Find as many things as a sum gives."),
    _world("TextWorldExpress-Sorting-v0", "sorting", {}, SORT, 20, 0, "Put three to five things into order of amount."),
)
