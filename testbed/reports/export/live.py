"""`Following`: a run that is being written, told to sinks as it goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType

from testbed.records.run_directory import RunDirectory
from testbed.reports.export.points import RunPoints
from testbed.reports.export.registry import SINKS
from testbed.reports.export.sink import Point, Sink

EVERY = 10.0
"""Seconds from one look at the run to the next."""

_log = logging.getLogger(__name__)


class Following:
    """While it is entered, a thread reads what is written to the run and tells the sinks; at the end, all of it.

    What was there before is not told again: it was then. A sink that fails is warned of and left; the run goes on.
    """

    def __init__(self, path: Path, sinks: Mapping[str, Sink]) -> None:
        self._run = RunDirectory(path)
        self._sinks = dict(sinks)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="sinks", daemon=True)
        self._points: RunPoints | None = None
        if self._run.study_file.exists():
            self._points = RunPoints(self._run)
            for _ in self._points.fresh():
                pass

    @classmethod
    def of(cls, path: Path, names: Iterable[str]) -> Following:
        """Sinks by their names, each with a folder of its own in the run. Raises SinkError."""
        return cls(path, {name: SINKS[name](path / name, path.name) for name in dict.fromkeys(names)})

    def __enter__(self) -> Following:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        self._look()
        if self._points is not None and kind is None:
            self._tell(self._points.rest())
        for name, sink in self._sinks.items():
            self._try(name, sink.close)

    def _follow(self) -> None:
        while not self._done.wait(EVERY):
            self._look()

    def _look(self) -> None:
        try:
            if self._points is None and self._run.study_file.exists():
                self._points = RunPoints(self._run)
            if self._points is not None:
                self._tell(self._points.fresh())
        except Exception as error:
            _log.warning("the run's numbers are told to nobody any more: %s", error)
            self._sinks.clear()

    def _tell(self, points: Iterable[Point]) -> None:
        for point in points:
            for name, sink in list(self._sinks.items()):
                if not self._try(name, lambda sink=sink, point=point: sink.log(point)):
                    del self._sinks[name]

    def _try(self, name: str, work: Callable[[], object]) -> bool:
        try:
            work()
        except Exception as error:
            _log.warning("the sink %s takes no more numbers (%s); the run goes on without it", name, error)
            return False
        return True
