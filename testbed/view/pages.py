"""What the page shows, as HTML: text of models, games and files is escaped, and what cannot be seen is made visible."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from testbed.view.snapshot import Cell, Snapshot

FOLDER = Path(__file__).parent / "templates"
ORDER = ("learn", "evaluate", "league")


def visible(value: object) -> Markup:
    """Escaped, and with control, bidirectional and invisible characters as \\x1b, \\u202e and the like."""
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c in "\n\t " else c.encode("unicode_escape").decode() for c in text)
    return escape(text)


def _number(value: float | None, digits: int = 0) -> str:
    return "—" if value is None else f"{value:,.{digits}f}"


def _clock(seconds: float | None) -> str:
    return "?" if seconds is None else str(timedelta(seconds=round(seconds)))


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    finalize=lambda value: value if isinstance(value, Markup) else visible(value),
)
_ENVIRONMENT.filters |= {"number": _number, "clock": _clock}


def render(template: str, root: str, **content: Any) -> str:
    """`root` is the path under which everything lies, token and all."""
    return _ENVIRONMENT.get_template(template).render(root=root, **content)


class GridRow(NamedTuple):
    """One arm of one memory, or one source of its skills, over all agents and tasks."""

    phase: str
    memory: str
    arm: str
    source: str
    cells: Sequence[Cell | None]


class Grid(NamedTuple):
    """The matrix, as it fills up."""

    columns: Sequence[tuple[str, str]]
    """Agents and tasks."""
    rows: Sequence[GridRow]


def grid(look: Snapshot) -> Grid:
    """Every cell in its place."""
    columns = sorted({(cell.agent, cell.task) for cell in look.cells})
    rows: dict[tuple[int, str, str, str, str], dict[tuple[str, str], Cell]] = {}
    for cell in look.cells:
        source = f"{cell.source_agent} · {cell.source_task}" if cell.arm == "transfer" else ""
        key = ORDER.index(cell.phase), cell.phase, cell.memory or "pool", cell.arm, source
        rows.setdefault(key, {})[cell.agent, cell.task] = cell
    return Grid(
        columns,
        [GridRow(*key[1:], [cells.get(column) for column in columns]) for key, cells in sorted(rows.items())],
    )
