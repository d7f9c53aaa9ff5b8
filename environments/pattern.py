"""A regular expression as a tree: what a grammar's pattern may hold (literals, classes, groups, repetition)."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import lru_cache

from lark import Lark, Token, Transformer
from lark.exceptions import LarkError

PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
"""What an open class (".", "[^…]", "\\\\W") stands for: printable ASCII."""
ENDLESS = 8
"""How often more than its least an open repetition ("*", "+", "{2,}") is repeated."""

SYNTAX = r"""
?branches: sequence ("|" sequence)*
?sequence: repeated*
?repeated: atom
    | atom ("*" | "*?") -> any_number
    | atom ("+" | "+?") -> at_least_once
    | atom ("?" | "??") -> perhaps
    | atom "{" NUMBER ("}" | "}?") -> exactly
    | atom "{" NUMBER "," ("}" | "}?") -> at_least
    | atom "{" "," NUMBER ("}" | "}?") -> at_most
    | atom "{" NUMBER "," NUMBER ("}" | "}?") -> between
?atom: ("(" | "(?:" | GROUP_NAME) branches ")" -> group
    | ANCHOR -> anchor
    | (CLASS | CATEGORY | ANYTHING) -> one_of
    | (ESCAPED | PLAIN) -> literal
GROUP_NAME: /\(\?P<[A-Za-z_]\w*>/
ANCHOR: /\^|\$|\\[AZbB]/
CLASS: /\[\^?\]?(\\.|[^\\\]])*\]/s
CATEGORY: /\\[dDsSwW]/
ANYTHING: "."
ESCAPED: /\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\[^\w]|\\[nrtfv0]/
PLAIN: /[^\\.\[()|*+?^${]/
NUMBER: /[0-9]+/
"""
CATEGORIES = {"d": string.digits, "s": " ", "w": string.ascii_letters + string.digits + "_"}
CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
MEMBER = re.compile(r"(\\x..|\\u....|\\.|.)(?:-(\\x..|\\u....|\\.|[^\\]))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these characters."""

    characters: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Branches:
    """One of several parts."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same part `least` to `most` times."""

    part: Node
    least: int
    most: int


Node = OneOf | Sequence | Branches | Repeat


@lru_cache(maxsize=256)
def parse(pattern: str) -> Node:
    """The tree of a pattern in the notation of Python's `re`. Raises ValueError outside the subset."""
    try:
        return _TreeBuilder().transform(_PARSER.parse(pattern))
    except LarkError as error:
        raise ValueError(
            f"the pattern {pattern!r} may not use more than literals, classes, groups and repetition"
        ) from error


class _TreeBuilder(Transformer[Token, Node]):
    def branches(self, options: list[Node]) -> Node:
        return Branches(tuple(options))

    def sequence(self, parts: list[Node]) -> Node:
        return Sequence(tuple(parts))

    def group(self, inside: list[Node | Token]) -> Node:
        return next(part for part in inside if not isinstance(part, Token))

    def anchor(self, _: list[Token]) -> Node:
        return Sequence(())

    def literal(self, token: list[Token]) -> Node:
        return OneOf(_character(token[0]))

    def one_of(self, token: list[Token]) -> Node:
        return OneOf(_members(token[0]))

    def any_number(self, part: list[Node]) -> Node:
        return Repeat(part[0], 0, ENDLESS)

    def at_least_once(self, part: list[Node]) -> Node:
        return Repeat(part[0], 1, 1 + ENDLESS)

    def perhaps(self, part: list[Node]) -> Node:
        return Repeat(part[0], 0, 1)

    def exactly(self, found: list[Node | Token]) -> Node:
        part, count = found
        return _repeated(part, count, count)

    def at_least(self, found: list[Node | Token]) -> Node:
        part, least = found
        return _repeated(part, least, int(str(least)) + ENDLESS)

    def at_most(self, found: list[Node | Token]) -> Node:
        part, most = found
        return _repeated(part, 0, most)

    def between(self, found: list[Node | Token]) -> Node:
        part, least, most = found
        return _repeated(part, least, most)


def _repeated(part: Node | Token, least: object, most: object) -> Node:
    assert not isinstance(part, Token)
    return Repeat(part, int(str(least)), int(str(most)))


def _members(text: str) -> str:
    """The characters of a class, a category or "."; where it leaves some out, the printable others."""
    if text == ".":
        return PRINTABLE
    if text.startswith("\\"):
        return _category(text[1])
    negated = text.startswith("[^")
    found = ""
    for first, last in MEMBER.findall(text[1 + negated : -1]):
        if first[0] == "\\" and first[1:] in "dDsSwW":
            found += _category(first[1]) + (f"-{_character(last)}" if last else "")
        elif last:
            found += "".join(map(chr, range(ord(_character(first)), ord(_character(last)) + 1)))
        else:
            found += _character(first)
    return _others(found) if negated else found


def _category(letter: str) -> str:
    named = CATEGORIES[letter.lower()]
    return named if letter.islower() else _others(named)


def _others(characters: str) -> str:
    return "".join(character for character in PRINTABLE if character not in characters)


def _character(text: str) -> str:
    if not text.startswith("\\"):
        return text
    if text[1] in "xu" and len(text) > 2:
        return chr(int(text[2:], 16))
    return CONTROLS.get(text[1], text[1])


_PARSER = Lark(SYNTAX, parser="lalr", start="branches", maybe_placeholders=False)
