"""The headline as a slide, 16:9: the matrices with their marks, the intervals, the three sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import altair as alt
import pandas as pd

from analysis.findings import Verdict
from analysis.report.figures.matrix import VERDICTS, Chart
from analysis.report.headline import MARKS, Cell, Claim, Grid, Headline, shortened

WIDTH, HEIGHT, EDGE = 1280, 720, 40
INK, PALE = "#1b1f24", "#f0f2f4"
PER_LETTER = 0.54
"""Mean width of a letter, in font sizes."""
LIGHT_ON = ("better",)
"""Verdicts whose colour is dark enough for white letters."""


@dataclass
class Slide:
    """Shapes by kind, in units of the drawing from its top left corner."""

    texts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    boxes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lines: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def text(
        self, x: float, y: float, words: str, *, size: int = 16, color: str = INK, bold: bool = False, at: str = "left"
    ) -> None:
        weight = "bold" if bold else "normal"
        self.texts.append({"x": x, "y": y, "words": words, "size": size, "color": color, "weight": weight, "at": at})

    def box(self, x: float, y: float, width: float, height: float, color: str) -> None:
        self.boxes.append({"x": x, "y": y, "x2": x + width, "y2": y + height, "color": color})

    def line(self, x: float, y: float, x2: float, y2: float, *, color: str = INK, width: float = 1.0) -> None:
        self.lines.append({"x": x, "y": y, "x2": x2, "y2": y2, "color": color, "width": width})


def slide(title: str, top: Headline) -> Chart:
    """The picture, WIDTH × HEIGHT."""
    made = Slide()
    made.text(EDGE, 44, _fitted(title, 26, WIDTH - 2 * EDGE), size=26, bold=True)
    y = 74.0
    if top.alarm:
        for row in _rows(top.alarm, 15, WIDTH - 2 * EDGE, 2):
            made.text(EDGE, y, row, size=15, color="#8a4b00", bold=True)
            y += 20
    right, bottom = _grids(made, top, y + 12)
    below = _claims(made, top, right, y + 12)
    _legend(made, HEIGHT - 222)
    _sentences(made, top, max(HEIGHT - 196.0, min(bottom, below)))
    return _chart(made)


def _grids(made: Slide, top: Headline, y: float) -> tuple[float, float]:
    """Draws them side by side; where they end on the right, and below."""
    left, lowest = float(EDGE), y
    room = (WIDTH - 2 * EDGE) * (0.5 if top.claims else 1.0)
    labels = 160.0 if any(" · " in name for grid in top.grids for name, _ in grid.rows) else 110.0
    columns = sum(len(grid.columns) for grid in top.grids)
    wide = min(84.0, max(24.0, (room - labels * len(top.grids)) / max(columns, 1)))
    for grid in top.grids:
        high = min(40.0, (HEIGHT - 250 - y - 46) / max(len(grid.rows), 1))
        made.text(left, y + 8, _fitted(grid.title, 13, labels + wide * len(grid.columns) + 60), size=13, bold=True)
        for place, name in enumerate(_told_apart(grid.columns, 12, wide)):
            x = left + labels + wide * (place + 0.5)
            made.text(x, y + 32, name, size=12, at="center")
        names = _told_apart([name for name, _ in grid.rows], 12, labels - 8)
        for row, (name, (_, cells)) in enumerate(zip(names, grid.rows, strict=True)):
            at = y + 44 + high * row
            made.text(left + labels - 8, at + high / 2, name, size=12, at="right")
            for place, cell in enumerate(cells):
                _cell(made, cell, (left + labels + wide * place, at), (wide - 3, high - 3), grid)
        left += labels + wide * len(grid.columns) + 24
        lowest = max(lowest, y + 44 + high * len(grid.rows))
    return left, lowest


def _cell(made: Slide, cell: Cell | None, corner: tuple[float, float], size: tuple[float, float], grid: Grid) -> None:
    if cell is None:
        return
    (x, y), (width, height) = corner, size
    decided = cell.verdict is not None and cell.verdict != "undecided"
    made.box(x, y, width, height, VERDICTS[cell.verdict] if decided and cell.verdict else PALE)
    ink = "#ffffff" if cell.verdict in LIGHT_ON else "#000000"
    words = cell.mark if grid.compact or width < 56 else f"{cell.mark} {cell.value}".strip()
    made.text(x + width / 2, y + height / 2, words, size=14, color=ink, bold=decided, at="center")


def _claims(made: Slide, top: Headline, left: float, y: float) -> float:
    """Every claim's interval on one line of differences; where they end below."""
    if not top.claims:
        return y
    left = max(left, EDGE)
    values, names = WIDTH - EDGE - 170.0, min(300.0, (WIDTH - EDGE - left) * 0.4)
    start, end = left + 24 + names, values - 14
    made.text(left, y + 8, f"Declared comparisons: {top.measure}", size=13, bold=True)
    high = min(40.0, (HEIGHT - 250 - y - 30) / len(top.claims))

    def along(value: float) -> float:
        return start + (end - start) * top.place(value) / 100

    made.line(along(0), y + 26, along(0), y + 30 + high * len(top.claims), color="#888888")
    for row, claim in enumerate(top.claims):
        _claim(made, claim, y + 30 + high * (row + 0.5), (left, names, values), along)
    return y + 30 + high * len(top.claims)


def _claim(made: Slide, claim: Claim, y: float, places: tuple[float, float, float], along: Any) -> None:
    left, names, values = places
    color = VERDICTS[claim.verdict]
    made.text(left + 6, y, claim.mark, size=16, color=color, bold=True, at="center")
    made.text(left + 22, y, _fitted(claim.name, 14, names), size=14)
    if claim.bounded:
        made.line(along(claim.low), y, along(claim.high), y, color=color, width=3)
    if claim.known:
        made.line(along(claim.estimate), y - 7, along(claim.estimate), y + 7, color=color, width=4)
    made.text(values, y, claim.text, size=14)


def _legend(made: Slide, y: float) -> None:
    kinds: tuple[Verdict, ...] = ("better", "worse", "equivalent", "undecided")
    made.text(EDGE, y, "  ·  ".join(f"{MARKS[kind]} {kind}" for kind in kinds), size=13, color="#555555")


def _sentences(made: Slide, top: Headline, y: float) -> None:
    for head, words in top.sentences:
        made.text(EDGE, y, head, size=15, bold=True)
        for row in _rows(words, 15, WIDTH - 2 * EDGE - 110, 2 if head != "Cost" else 1):
            made.text(EDGE + 110, y, row, size=15)
            y += 21
        y += 5


def _rows(text: str, size: int, width: float, most: int) -> list[str]:
    letters = int(width / (PER_LETTER * size))
    return textwrap.wrap(shortened(text, letters * most - 12), letters)[:most]


def _fitted(text: str, size: int, width: float) -> str:
    letters = max(1, int(width / (PER_LETTER * size)))
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _told_apart(names: Sequence[str], size: int, width: float) -> list[str]:
    """Cut at the end; at the beginning where several begin alike, as a game's variants do."""
    fitted = [_fitted(name, size, width) for name in names]
    return fitted if len({*fitted}) == len({*names}) else [_fitted(name[::-1], size, width)[::-1] for name in names]


def _chart(made: Slide) -> Chart:
    frame = {name: pd.DataFrame(getattr(made, name)) for name in ("boxes", "lines", "texts")}
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, WIDTH], nice=False), axis=None)
    y = alt.Y("y:Q", scale=alt.Scale(domain=[HEIGHT, 0], nice=False), axis=None)
    color = alt.Color("color:N", scale=None)
    layers: list[alt.Chart] = []
    if len(frame["boxes"]):
        layers.append(alt.Chart(frame["boxes"]).mark_rect().encode(x=x, y=y, x2="x2:Q", y2="y2:Q", color=color))
    if len(frame["lines"]):
        width = alt.StrokeWidth("width:Q", scale=None)
        rules = alt.Chart(frame["lines"]).mark_rule().encode(x=x, y=y, x2="x2:Q", y2="y2:Q", color=color)
        layers.append(rules.encode(strokeWidth=width))
    kinds: tuple[tuple[Literal["left", "center", "right"], Literal["normal", "bold"]], ...] = (
        ("left", "bold"), ("left", "normal"), ("center", "bold"), ("center", "normal"), ("right", "normal"),
    )  # fmt: skip
    for at, weight in kinds:
        part = frame["texts"][(frame["texts"]["at"] == at) & (frame["texts"]["weight"] == weight)]
        if part.empty:
            continue
        words = alt.Chart(part).mark_text(align=at, fontWeight=weight, baseline="middle", limit=0)
        layers.append(words.encode(x=x, y=y, text="words:N", size=alt.Size("size:Q", scale=None), color=color))
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, padding=0, background="white")
    return chart.configure_view(stroke=None)
