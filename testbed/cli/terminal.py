"""The one door to the terminal: what models, games, servers and skills say is shown, and never obeyed.

Every command prints through here (a test reads their imports). Control characters, bidirectional and invisible formats
and lone surrogates become escapes such as \\x1b or \\u202e; a pipe gets the same as a terminal.
"""

from __future__ import annotations

import codecs
import json
import sys
import traceback
import unicodedata
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

PLAIN = {
    "−": "-", "–": "-", "—": "-", "·": ".", "…": "...", "×": "x", "±": "+/-", "≥": ">=", "≤": "<=", "→": "->",
    "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ",
}  # fmt: skip
"""For a terminal that cannot write Unicode: a minus that became a question mark would change a number."""


def visible(text: str) -> str:
    """Text in which every character can be seen; line ends, tabs and blanks of all widths stay."""
    return text if text.isprintable() else "".join(c if _is_shown(c) else _escaped(c) for c in text)


def _is_shown(character: str) -> bool:
    return character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class Terminal(Console):
    """A console every piece of whose text is visible, whatever it is made from."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def output() -> Terminal:
    """Where a command's result goes."""
    return Terminal()


def notices() -> Terminal:
    """Where progress goes."""
    return Terminal(stderr=True, highlight=False)


def plain(text: object, style: str = "") -> Text:
    """Somebody's text for a table or a panel: no markup in it, and as wide as it will be seen."""
    return Text(visible(str(text)), style=style)


def tell(text: str, style: str = "") -> None:
    """A sentence beside the result: a warning, an error."""
    notices().print(plain(text, style), soft_wrap=True)


def complain(sentence: str) -> None:
    """Why a command ended without its result."""
    notices().print(Text.assemble(("Error:", "bold red"), " ", plain(sentence)), soft_wrap=True)


def say(text: str) -> None:
    """A line of the result, as long as it is."""
    print(visible(text), file=sys.stdout, flush=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """The result as JSON in ASCII, DEL among what is escaped."""
    print(json.dumps(value, indent=indent).replace("\x7f", "\\u007f"), file=sys.stdout, flush=True)


def settle() -> None:
    """Make both streams take any text, whatever encoding they were opened with, and tracebacks visible."""
    codecs.register_error("procmem.plain", _replacement)
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="procmem.plain")
    sys.excepthook = _report_bug


def _replacement(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lost = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in lost), error.end


def _report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As Python does; what a traceback quotes is somebody's text, too."""
    print(visible("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr, end="")
