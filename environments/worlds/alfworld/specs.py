"""ALFWorld (https://github.com/alfworld/alfworld, arXiv 2010.03768) as seven `EnvSpec`s of one family.

One for each task type and one for all of them; difficulty ranks by the mean length of the walkthroughs in `train`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from environments.grammar import Regex
from environments.spec import ChoiceError, EnvSpec
from environments.worlds.alfworld.files import SPLITS, GameFile, Split, choose, game_files, in_turn

Games = Literal["drawn", "each"]
HINTS = ("type", "walkthrough", "commands")
_THING = "[a-z]{1,30} [0-9]{1,3}"
GRAMMAR = Regex(
    f"(look|inventory|(go to|open|close|examine|use) {_THING}|take {_THING} from {_THING}|move {_THING} to {_THING}|"
    f"(clean|heat|cool|slice) {_THING} with {_THING})"
)
"""Every command there is; at each moment the admissible ones are the grammar."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What a study may choose, written after the id's colon: `split=valid_unseen,games=each,told=type+commands`."""

    split: Split = "train"
    steps: int = 50
    """Commands until the game is stopped; the paper's 50 (section 4), 30 and 20 elsewhere."""
    told: frozenset[str] = frozenset()
    """Which of HINTS a player is given; by itself it gets none."""
    games: Games = "drawn"
    """What a seed means: a game drawn with replacement, types equally often; or the next of all, each once."""

    @classmethod
    def of(cls, text: str) -> Variant:
        """Raises ChoiceError."""
        values: dict[str, Any] = {}
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if not equals or key not in _READERS or key in values:
                raise ChoiceError(f"{part!r} is no choice; write split=…, steps=…, told=… or games=…, each once")
            values[key] = _READERS[key](value)
        return cls(**values)


def _split(value: str) -> Split:
    if value not in SPLITS:
        raise ChoiceError(f"split={value} is none of {', '.join(SPLITS)}")
    return value


def _steps(value: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,2}", value):
        raise ChoiceError(f"steps={value} is no number from 1 to 999")
    return int(value)


def _told(value: str) -> frozenset[str]:
    if strange := [hint for hint in value.split("+") if hint not in HINTS]:
        raise ChoiceError(f"told={value}: {strange[0]!r} is none of {', '.join(HINTS)} (several as type+commands)")
    return frozenset(value.split("+"))


def _games(value: str) -> Games:
    if value not in ORDERS:
        raise ChoiceError(f"games={value} is none of {', '.join(ORDERS)}")
    return value


_READERS: dict[str, Callable[[str], Any]] = {"split": _split, "steps": _steps, "told": _told, "games": _games}
ORDERS: dict[Games, Callable[[Mapping[str, tuple[GameFile, ...]], int], GameFile]] = {"drawn": choose, "each": in_turn}
"""How a seed chooses among games."""


def _alfworld(id: str, difficulty: int, summary: str, kind: str | None = None, variant: Variant = Variant()) -> EnvSpec:
    def make() -> Any:
        from environments.games.aec import TextEnv
        from environments.worlds.alfworld.game import AlfredGame, require_textworld

        require_textworld()
        games = game_files(variant.split, kind)
        game = partial(AlfredGame, partial(ORDERS[variant.games], games), variant.steps, variant.told)
        return TextEnv(game, id=id, seats=1, grammar=GRAMMAR, horizon=variant.steps, reward_range=(0.0, 1.0))

    def choose(text: str) -> EnvSpec:
        return _alfworld(f"{id}:{text}", difficulty, summary, kind, Variant.of(text))

    return EnvSpec(
        id,
        make,
        1,
        GRAMMAR,
        variant.steps,
        (0.0, 1.0),
        "ALFWorld",
        difficulty,
        summary,
        needs="procmem[alfworld], game files",
        package="textworld",
        in_turn=variant.games == "each",
        recorded=("task_type", "game"),
        remote=True,
        choose=choose,
    )


ALFWORLD: tuple[EnvSpec, ...] = (
    _alfworld("ALFWorld-v0", 6, "A household task of any of the six types; pays 1 when it is done."),
    _alfworld("ALFWorld-examine-v0", 0, "Find a thing and look at it under a lamp.", "examine"),
    _alfworld("ALFWorld-put-v0", 1, "Find a thing and put it somewhere.", "put"),
    _alfworld("ALFWorld-cool-v0", 2, "Find a thing, cool it, put it somewhere.", "cool"),
    _alfworld("ALFWorld-heat-v0", 3, "Find a thing, heat it, put it somewhere.", "heat"),
    _alfworld("ALFWorld-clean-v0", 4, "Find a thing, clean it, put it somewhere.", "clean"),
    _alfworld("ALFWorld-puttwo-v0", 5, "Find two things of a kind and put both somewhere.", "puttwo"),
)
