"""Moves that are numbers: a value within bounds, or a vector of them, each written in exactly one way.

A continuous action becomes a point of a declared grid. One number is one text, so the likelihood of the text is that of
the number, and importance ratios are those of the density: a cell's width stands in both of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from environments.grammar import Regex

_BRACKETS = re.compile(r"\[([^\[\]\n]{1,400})\]")
LONGEST_TOLD = 40
"""Characters of what is no number that an objection repeats."""
_DECIMAL = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?")


@dataclass(frozen=True, slots=True)
class Setting:
    """Numbers from `low` to `high` with so many `decimals`; bounds between two of them are rounded inwards.

    Raises ValueError where no number lies between the bounds.
    """

    name: str
    low: float
    high: float
    decimals: int

    def __post_init__(self) -> None:
        bounded = math.isfinite(self.low) and math.isfinite(self.high)
        if not bounded or not 0 <= self.decimals <= 9 or self._first > self._last:
            raise ValueError(f"{self.name}: no numbers of {self.decimals} decimals between {self.low} and {self.high}")

    @property
    def _first(self) -> int:
        return math.ceil(self.low * 10**self.decimals - 1e-9)

    @property
    def _last(self) -> int:
        return math.floor(self.high * 10**self.decimals + 1e-9)

    def __len__(self) -> int:
        return self._last - self._first + 1

    @property
    def texts(self) -> list[str]:
        """Every number, from the least to the greatest."""
        return [self._text(units) for units in range(self._first, self._last + 1)]

    @property
    def bounds(self) -> str:
        return f"{self._text(self._first)} to {self._text(self._last)}"

    @property
    def pattern(self) -> str:
        """A regular expression of exactly these texts: no sign before a zero, no zero before another digit."""
        below = [f"-{self._point(each)}" for each in _spans(max(1, -self._last), -self._first, self.decimals + 1)]
        above = [self._point(each) for each in _spans(max(0, self._first), self._last, self.decimals + 1)]
        return f"({'|'.join(below + above)})"

    def write(self, value: float) -> str:
        """The nearest number there is."""
        return self._text(min(self._last, max(self._first, round(value * 10**self.decimals))))

    def objection(self, text: str) -> str:
        """What is wrong with a text that is none of these numbers, and what to write instead."""
        if not _DECIMAL.fullmatch(text):
            like = self.write((self.low + self.high) / 2)
            return f"{text[:LONGEST_TOLD]!r} is no number for {self.name}; write one like {like}."
        value = float(text)
        if not self._first <= value * 10**self.decimals <= self._last:
            return f"{text} is outside {self.bounds}, the bounds of {self.name}."
        return f"Write {self.name} with {_decimals(self.decimals)}: {self.write(value)}, not {text}."

    def _text(self, units: int) -> str:
        digits = f"{abs(units):0{self.decimals + 1}d}"
        whole, part = (digits[: -self.decimals], digits[-self.decimals :]) if self.decimals else (digits, "")
        return f"{'-' if units < 0 else ''}{whole}{'.' if part else ''}{part}"

    def _point(self, classes: Sequence[str]) -> str:
        place = len(classes) - self.decimals
        return "".join(classes[:place]) + ("\\." + "".join(classes[place:]) if self.decimals else "")


@dataclass(frozen=True, slots=True)
class Settings:
    """A move that is one number or several: `[0.50]`, `[0.50, -1.25]`. Raises ValueError for none, or a name twice."""

    parts: tuple[Setting, ...]

    def __post_init__(self) -> None:
        if not self.parts or len({part.name for part in self.parts}) != len(self.parts):
            raise ValueError("a move needs at least one number, and each a name of its own")

    @property
    def grammar(self) -> Regex:
        return Regex(rf"\[{', '.join(part.pattern for part in self.parts)}\]")

    @property
    def manual(self) -> str:
        """How a move is written, for the rules."""
        told = [f"{each.name} ({each.bounds}, {_decimals(each.decimals)})" for each in self.parts]
        form = ", ".join(each.name for each in self.parts)
        return f"Answer in square brackets with {' and '.join(told)}, like [{form}]."

    def write(self, values: Sequence[float]) -> str:
        """The nearest move there is."""
        return f"[{', '.join(part.write(each) for part, each in zip(self.parts, values, strict=True))}]"

    def read(self, text: str) -> tuple[float, ...] | None:
        """The numbers of the first bracketed move in a text; None where it has none."""
        grammar = self.grammar
        inside = next((found for found in _BRACKETS.findall(text) if grammar.accepts(f"[{found}]")), None)
        return None if inside is None else tuple(float(each) for each in inside.split(", "))

    def objection(self, text: str) -> str:
        """Why a text is no move, in one sentence that says what to write."""
        found = _BRACKETS.search(text)
        if found is None:
            return f"That was no valid answer. {self.manual}"
        given = [each.strip() for each in found[1].split(",")]
        if len(given) != len(self.parts):
            count = "That is 1 number" if len(given) == 1 else f"Those are {len(given)} numbers"
            return f"{count}, and a move has {len(self.parts)}. {self.manual}"
        for part, each in zip(self.parts, given, strict=True):
            if not re.fullmatch(part.pattern, each):
                return part.objection(each)
        return f"Write one space after each comma. {self.manual}"


def _decimals(count: int) -> str:
    return "no decimals" if not count else f"{count} decimal{'s' * (count > 1)}"


def _spans(first: int, last: int, least: int) -> Iterator[list[str]]:
    """Digit classes that together match exactly the integers from first to last, with at least so many digits."""
    for length in range(least, max(least, len(str(last))) + 1):
        low = max(first, 10 ** (length - 1) if length > least else 0)
        high = min(last, 10**length - 1)
        if low <= high:
            yield from _same_length(f"{low:0{length}d}", f"{high:0{length}d}")


def _same_length(low: str, high: str) -> Iterator[list[str]]:
    """The same for two numbers of as many digits: what differs in the first digit is split off."""
    if not low:
        yield []
        return
    rest = len(low) - 1
    if set(low[1:]) <= {"0"} and set(high[1:]) <= {"9"}:
        yield [_digits(low[0], high[0]), *["[0-9]"] * rest]
        return
    if low[0] == high[0]:
        yield from ([low[0], *each] for each in _same_length(low[1:], high[1:]))
        return
    yield from ([low[0], *each] for each in _same_length(low[1:], "9" * rest))
    if int(high[0]) - int(low[0]) > 1:
        yield [_digits(str(int(low[0]) + 1), str(int(high[0]) - 1)), *["[0-9]"] * rest]
    yield from ([high[0], *each] for each in _same_length("0" * rest, high[1:]))


def _digits(first: str, last: str) -> str:
    return first if first == last else f"[{first}-{last}]"
