"""The top of a page: what a reader sees at one look, as plain data. The page and the slide are drawn from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.findings import Finding, Verdict, number

MARKS: dict[Verdict, str] = {"better": "▲", "worse": "▼", "equivalent": "≈", "undecided": "·"}
"""Told apart without colours, in print and by a screen reader that is given the word."""
MOST_CLAIMS = 8
"""Rows of intervals; more do not fit on a screen beside a matrix."""
MOST_ROWS, WIDE_ROWS = 14, 5
"""Rows and columns of a matrix; up to `WIDE_ROWS` of them have room for numbers."""
MOST_COLUMNS = 10
"""Columns of all matrices together, where they hold numbers."""
SENTENCE = 420
"""Characters of a sentence; longer ones end where a word does."""


@dataclass(frozen=True)
class Cell:
    """One cell of a matrix: its verdict ("" where nothing is judged), its number, and both in words."""

    verdict: Verdict | None
    value: str
    words: str

    @property
    def mark(self) -> str:
        return "" if self.verdict is None else MARKS[self.verdict]

    @property
    def kind(self) -> str:
        """As a class of the page's style."""
        return self.verdict or "plain"


@dataclass(frozen=True)
class Grid:
    """A small matrix: rows are whose memory, columns who is evaluated (or whatever the title says)."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]

    @property
    def compact(self) -> bool:
        """Marks alone: with numbers it would be too wide."""
        return len(self.columns) > WIDE_ROWS or len(self.rows) > 2 * WIDE_ROWS


@dataclass(frozen=True)
class Claim:
    """One declared comparison with its interval."""

    name: str
    verdict: Verdict
    estimate: float
    low: float
    high: float

    @property
    def mark(self) -> str:
        return MARKS[self.verdict]

    @property
    def known(self) -> bool:
        return math.isfinite(self.estimate)

    @property
    def bounded(self) -> bool:
        return math.isfinite(self.low + self.high)

    @property
    def text(self) -> str:
        """As `+0.31 [0.25, 0.37]`."""
        if not self.known:
            return "no data"
        ends = f" [{number(self.low, 2)}, {number(self.high, 2)}]" if self.bounded else ""
        return signed(self.estimate) + ends


@dataclass(frozen=True)
class Cost:
    """What a study took; None where nobody knows."""

    tokens: int
    hours: float | None = None
    money: float | None = None
    """In the money of the study's prices, whichever that is."""
    covers: str = ""
    """What of the study that is, where it is not all."""

    @property
    def sentence(self) -> str:
        parts = [f"{self.tokens:,} tokens{f' ({self.covers})' if self.covers else ''}"]
        parts += [f"{hours_text(self.hours)} of running"] if self.hours is not None else []
        parts.append("no prices are declared" if self.money is None else f"{self.money:,.2f} by the study's prices")
        return f"{', '.join(parts)}."


@dataclass(frozen=True)
class Headline:
    """All of it. `decided`, `open` and `basis` are the three sentences."""

    grids: tuple[Grid, ...]
    claims: tuple[Claim, ...]
    decided: str
    open: str
    basis: str
    cost: str
    note: str = ""
    """What of the matrices or the claims is not shown here."""
    alarm: str = ""
    """What must be read first: that the study is not finished, or misses episodes."""
    measure: str = "difference in return"
    """What the claims are."""

    @property
    def sentences(self) -> tuple[tuple[str, str], ...]:
        """Each with its head."""
        return (
            ("Decided", self.decided),
            ("Not decided", self.open),
            ("Rests on", self.basis),
            ("Cost", self.cost),
        )

    @property
    def reach(self) -> tuple[float, float]:
        """What the intervals are drawn on: 0 and the farthest ends."""
        values = [v for each in self.claims for v in (each.estimate, each.low, each.high) if math.isfinite(v)]
        low, high = min([0.0, *values]), max([0.0, *values])
        edge = 0.04 * (high - low) or 1.0
        return low - edge, high + edge

    def place(self, value: float) -> float:
        """Of a difference on that line, in per cent from its left end."""
        low, high = self.reach
        return 100 * (value - low) / (high - low)


def claims_of(found: Sequence[Finding]) -> tuple[Claim, ...]:
    """At most MOST_CLAIMS of them in the order given: decided ones first to be kept, then the largest."""
    order = sorted(
        range(len(found)), key=lambda k: (found[k].verdict == "undecided", -abs(_known(found[k].estimate)), k)
    )
    kept = sorted(order[:MOST_CLAIMS])
    return tuple(
        Claim(each.subject, each.verdict, each.estimate, each.low, each.high) for each in map(found.__getitem__, kept)
    )


def cell_of(found: Finding) -> Cell:
    """A finding as a cell; a regret would have its sign turned, so only gains are asked for."""
    return Cell(found.verdict, signed(found.estimate), found.sentence or found.subject)


def signed(value: float) -> str:
    """As `+0.31`."""
    text = number(value, 2)
    if text.strip("−0.") == "":
        return "0.00"
    return text if value < 0 or not math.isfinite(value) else f"+{text}"


def hours_text(hours: float) -> str:
    """As `3 h 20 min`, `4 min` or `12 s`."""
    seconds = round(hours * 3600)
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def shortened(text: str, most: int = SENTENCE) -> str:
    """The text, or as many of its words as there is room for."""
    return text if len(text) <= most else text[: text.rindex(" ", 0, most)].rstrip(",;—") + " …"


def _known(value: float) -> float:
    return value if math.isfinite(value) else 0.0
