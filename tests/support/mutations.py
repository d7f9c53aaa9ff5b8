"""Mutations of valid files, aware of their structure: what a fuzz target feeds a reader. Everything follows a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

HOLE = "@@hole@@"

WEIRD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    7,
    2**31,
    2**63,
    -(2**64),
    10**18,
    0.5,
    -0.0,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "a",
    "a/b",
    "a/b/0",
    "a/b/c",
    "/",
    "//0",
    "../../x",
    "player_x",
    "player_99999",
    "\x00",
    "\x1b[2J",
    "\u202e",
    "🤖" * 40,
    "x" * 10_000,
    "{rules}",
    "<script>",
    "=1+1",
    [],
    {},
    [[]],
    [None],
    {"": 0},
    {"a": {"a": {"a": []}}},
)

RAW: tuple[str, ...] = (
    "[" * 300 + "]" * 300,
    "[" * 100_000,
    '{"a":' * 300 + "0" + "}" * 300,
    "1" * 5000,
    "-" + "9" * 400,
    "1e999",
    "NaN",
    '"\\ud83d"',
    "01",
    "",
)
"""Texts that no serialiser writes."""


INTERRUPTIONS = (b"\n", b"\r\n", b"\xff", b"\xef\xbb\xbf", b'"', b"\\", b"}", b"[")
NOTHING = (b"", b"\n", b"\xff\xfe", b"\0" * 64, b"null\n", b"[]\n", b"{}\n")


def mutated_json(content: Any, rng: random.Random, dump: Callable[[Any], str] = json.dumps) -> bytes:
    """Valid JSON (or what `dump` writes) with one to three changes of its structure; now and then of its bytes, too."""
    changed = json.loads(json.dumps(content))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        changed = _change(changed, rng)
    text = dump(changed)
    if HOLE in text:
        text = text.replace(json.dumps(HOLE), rng.choice(RAW))
    data = text.encode("utf-8", "surrogatepass")
    return mutated_bytes(data, rng) if rng.random() < 0.15 else data


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """The same bytes, cut, flipped, doubled, overwritten, interrupted or shuffled."""
    place, stop = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    before, inside, after = data[:place], data[place:stop], data[stop:]
    shuffled = data.splitlines(keepends=True)
    rng.shuffle(shuffled)
    return rng.choice(
        (
            before,
            before + bytes([rng.randrange(256)]) + data[place + 1 :],
            before + inside * 2 + after,
            before + b"\0" * len(inside) + after,
            before + rng.choice(INTERRUPTIONS) + data[place:],
            before + after,
            rng.choice(NOTHING),
            b"".join(shuffled),
        )
    )


def _change(content: Any, rng: random.Random) -> Any:
    places = list(_places(content))
    if not places:
        return rng.choice(WEIRD)
    holder, key = rng.choice(places)
    match rng.randrange(7):
        case 0:
            del holder[key]
        case 1:
            holder[key] = rng.choice(WEIRD)
        case 2:
            holder[key] = HOLE
        case 3:
            other, name = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[name]))
        case 4 if isinstance(holder, dict):
            holder[rng.choice(("x", "population", "committed", "", str(key).upper()))] = holder.pop(key)
        case 4:
            holder.insert(key, json.loads(json.dumps(holder[key])))
        case 5:
            holder[key] = [holder[key]]
        case _:
            holder[key] = _nudged(holder[key], rng)
    return content


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) of a document."""
    stack = [content]
    while stack:
        holder = stack.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        for key in keys:
            yield holder, key
            stack.append(holder[key])


def _nudged(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, (int, float)):
        return value + rng.choice((-1, 1, 1000, 1e-9))
    if isinstance(value, str):
        place = rng.randrange(len(value) + 1)
        return value[:place] + rng.choice(("x", "/", "\n", "\0", ":", "é")) + value[place + rng.randrange(2) :]
    return rng.choice(WEIRD)


def as_toml(content: Any) -> str:
    """A study as TOML, its tables inline; what TOML cannot hold is written as it comes."""
    if not isinstance(content, dict):
        return _toml(content)
    return "".join(f"{json.dumps(key)} = {_toml(value)}\n" for key, value in content.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)
