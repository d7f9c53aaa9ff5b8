"""`Sink`: where a run's numbers go besides the run directory."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple, Protocol


class SinkError(RuntimeError):
    """A sink that cannot be written to; one sentence with the remedy."""


class Point(NamedTuple):
    """One number of a run: `name` has the parts of a path, `step` counts iterations of the learner (0: evaluation)."""

    name: str
    step: int
    value: float


class Sink(Protocol):
    def log(self, point: Point) -> None: ...
    def close(self) -> None: ...


def package(name: str, what: str, extra: str) -> Any:
    """The package behind a sink. Raises SinkError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SinkError(f"{what} needs {name}: pip install 'procmem[{extra}]'") from None
