"""`run.log`: what happened to a run, line by line, for people. No result depends on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from testbed.records.append_only import writing

ROOMS = ("environments", "agents", "transfer", "analysis", "testbed")


@contextmanager
def run_log(run: Path, redact: Callable[[str], str]) -> Generator[None]:
    """While it lasts, everything that our own loggers say at INFO or above also goes to `run/run.log`.

    Times are UTC; one line each; `redact` takes secrets out. Raises StoreError where the file cannot be opened.
    """
    with writing(run):
        handler = _Lines(run / "run.log", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_Plain(redact))
    loggers = [logging.getLogger(room) for room in ROOMS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        with suppress(OSError):
            handler.close()


class _Lines(logging.FileHandler):
    """Says nothing where the disk is full: the records say it, and a log is not worth a run."""

    def handleError(self, record: logging.LogRecord) -> None:
        return


class _Plain(logging.Formatter):
    """Time, level and message, in one printable line."""

    converter = time.gmtime

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line = self._redact(super().format(record))
        return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
