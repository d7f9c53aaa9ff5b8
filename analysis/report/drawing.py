"""Charts are drawn behind a barrier: in a process of their own, so that a renderer that aborts costs one chart.

vl-convert is written in Rust; where it panics it ends its process (SIGABRT), which no Python handler sees. This file is
both sides: `Renderer` starts it by its path, and what it then runs reads a chart a line and answers a line.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

Specification = dict[str, Any]
"""Of a chart, in Vega-Lite."""
PATIENCE = 300.0
"""Seconds a chart may take; a slow machine needs one or two."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2, Char) cannot hold."""


class DrawingError(RuntimeError):
    """A chart could not be drawn; half a sentence that says why."""


class Drawing(NamedTuple):
    """A chart as files."""

    svg: str
    pdf: bytes
    png: bytes = b""
    """Twice as many dots each way as the drawing has units; empty where nobody asked for it."""


def drawable(value: Any) -> Any:
    """A chart's specification with U+FFFD for every character that an SVG cannot hold."""
    if isinstance(value, str):
        return _NOT_XML.sub("\ufffd", value)
    if isinstance(value, dict):
        return {drawable(key): drawable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [drawable(each) for each in value]
    return value


class Renderer:
    """Draws charts one after the other, in one process for as long as that lives."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def draw(self, specification: Specification, *, png: bool = False) -> Drawing:
        """A chart as files. Raises DrawingError; the next chart gets a new process."""
        answer = self._ask(json.dumps({"chart": specification, "png": png}).encode() + b"\n")
        if "error" in answer:
            raise DrawingError(answer["error"])
        return Drawing(answer["svg"], *(base64.b64decode(answer[name]) for name in ("pdf", "png")))

    def _ask(self, line: bytes) -> dict[str, str]:
        process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(self._patience, process.kill)
        timer.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            return json.loads(process.stdout.readline())
        except (OSError, ValueError):
            self._process = None
            process.kill()
            process.communicate()
            raise DrawingError(f"the renderer ended with code {process.returncode}") from None
        finally:
            timer.cancel()


def _start() -> subprocess.Popen[bytes]:
    # -P: the folder of this file holds names that are none of the renderer's business.
    command = [sys.executable, "-P", str(Path(__file__))]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise DrawingError(f"no process could be started for it ({error.strerror})") from None


def _serve() -> None:
    import vl_convert

    for line in sys.stdin.buffer:
        try:
            asked = json.loads(line)
            svg = vl_convert.vegalite_to_svg(asked["chart"])
            pdf = vl_convert.svg_to_pdf(svg)
            png = vl_convert.svg_to_png(svg, scale=2.0) if asked["png"] else b""
            answer = {"svg": svg, "pdf": base64.b64encode(pdf).decode(), "png": base64.b64encode(png).decode()}
        except Exception as error:
            answer = {"error": " ".join(str(error).split())[:300]}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
