"""One ALFWorld game after another, by TextWorld, in a process of its own (see `answering.py`).

`{"load": FILE}` answers with the opening, `{"play": COMMAND}` with what that led to: the game's `text`, whether it is
`won`, and the admissible `commands`; an opening also with the game's own `walkthrough`. Imports nothing of ours.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

LIBRARY = "TextWorld"
NOT_OFFERED = "help"
"""A command that the game understands and that leads nowhere."""
LONGEST_REASON = 200
KEYS = ("pddl_domain", "pddl_problem", "grammar", "walkthrough")


class Damaged(Exception):
    """A game file that cannot be played; one sentence. No ValueError: TextWorld takes those for "Nothing happens"."""


class Engine:
    """A PDDL game of TextWorld with ALFWorld's names for things."""

    def __init__(self) -> None:
        quicken()
        infos = import_module("textworld").EnvInfos(won=True, admissible_commands=True)
        self._env: Any = import_module("textworld.envs.pddl").PddlEnv(infos)

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.load(request["load"]) if "load" in request else self.play(request["play"])
        except Damaged as error:
            return {"error": str(error)}

    def load(self, path: str) -> dict[str, Any]:
        """Raises Damaged."""
        game = read(path)
        try:
            self._env.load(game)
            called = names(self._env._entity_infos)
            for id, info in self._env._entity_infos.items():
                info.name = called[id]
            state = self._env.reset()
        except Damaged:
            raise
        except Exception as error:
            raise Damaged(f"TextWorld cannot read it ({briefly(error)})") from error
        return {**seen(state), "walkthrough": [str(command) for command in game["walkthrough"]]}

    def play(self, command: str) -> dict[str, Any]:
        state, _, _ = self._env.step(command)
        return seen(state)


def seen(state: Mapping[str, Any]) -> dict[str, Any]:
    commands = [command for command in state["admissible_commands"] if command != NOT_OFFERED]
    return {"text": state["feedback"], "won": bool(state["won"]), "commands": commands}


def read(path: str) -> dict[str, Any]:
    """A game file. Raises Damaged, also for a game that ALFWorld itself found to have no solution."""
    try:
        with open(path, encoding="utf-8") as stream:
            game = json.load(stream)
    except (OSError, ValueError) as error:
        raise Damaged(f"it cannot be read as JSON ({briefly(error)})") from error
    missing = [key for key in KEYS if not isinstance(game, dict) or not game.get(key)]
    if missing:
        raise Damaged(f"it lacks {', '.join(missing)}")
    if not game.get("solvable"):
        raise Damaged("the game is marked as unsolvable")
    return game


def names(things: Iterable[str]) -> dict[str, str]:
    """What players call things: kind and number, counted down in the order of their ids (alfworld's Demangler)."""
    kinds = {id: _kind(id) for id in sorted(things)}
    left = Counter(kind for id, kind in kinds.items() if "_bar_" in id)
    called: dict[str, str] = {}
    for id, kind in kinds.items():
        called[id] = f"{kind} {left[kind] if '_bar_' in id else ''}"
        left[kind] -= "_bar_" in id
    return called


def _kind(id: str) -> str:
    kind, bar, _ = id.partition("_bar_")
    return kind + "basin" * bool(bar and "basin" in id)


def quicken() -> None:
    """Have TextWorld do once what it does again and again, and evaluate no code that stands in a game file.

    A step takes 60 ms as TextWorld does it: it parses its templates anew for every command and copies every thing of
    the game with every symbol. A start translates the problem four times, twice for a planner that nobody asks.
    """
    fast_downward: Any = import_module("fast_downward")
    textgen: Any = import_module("textworld.envs.pddl.textgen")
    rule: Any = import_module("textworld.logic").Rule

    parse = lru_cache(maxsize=10_000)(textgen._parse_and_convert)
    translate = lru_cache(maxsize=1)(fast_downward.pddl2sas)

    def copied(value: Any) -> Any:
        if isinstance(value, list):
            return [copied(each) for each in value]
        if isinstance(value, dict):
            return dict(value)  # things are the same things in every copy
        copy = object.__new__(type(value))
        copy.__dict__ = {
            key: copied(each) if isinstance(each, textgen.Symbol) else each for key, each in value.__dict__.items()
        }
        return copy

    def looked_up(symbol: Any, context: Mapping[str, Any] | None = None) -> list[Any]:
        return [textgen.TerminalSymbol(evaluate(symbol.expression, (context or symbol.context)["variables"]))]

    textgen._parse_and_convert = lambda text, **options: copied(parse(text, **options))
    textgen.deepcopy = copied
    textgen.EvalSymbol.derive = looked_up
    rule.parse_conjunctive_query = staticmethod(lru_cache(maxsize=10_000)(rule.parse_conjunctive_query))
    fast_downward.pddl2sas = lambda domain, problem, **options: translate(domain, problem)


def evaluate(expression: str, things: Mapping[str, Any]) -> str:
    """The value of what ALFWorld's templates hold: names of things, texts, `+` and `or`. Raises Damaged."""
    return _value(_tree(expression), things)


@lru_cache(maxsize=10_000)
def _tree(expression: str) -> ast.expr:
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise Damaged(f"its template {expression!r:.60} names nothing") from error


def _value(tree: ast.expr, things: Mapping[str, Any]) -> str:
    match tree:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=thing):
            return str(things[thing])
        case ast.Attribute(value=ast.Name(id=thing), attr=("name" | "id" | "indefinite" | "definite") as attribute):
            return getattr(things[thing], attribute)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left, things) + _value(right, things)
        case ast.BoolOp(op=ast.Or(), values=values):
            return next((value for each in values if (value := _value(each, things))), "")
        case _:
            raise Damaged(f"its template {ast.unparse(tree)!r:.60} names nothing")


def briefly(error: Exception) -> str:
    """In one line, without the pages of grammar that a parser may quote."""
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return line if len(line) <= LONGEST_REASON else line[:LONGEST_REASON] + "…"
