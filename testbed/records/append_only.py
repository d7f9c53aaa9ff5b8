"""Append-only files of lines: written whole or not at all, read up to the last complete line."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout


class StoreError(RuntimeError):
    """A run directory, or a file of it, that cannot be used; one sentence that names it and the remedy."""


@contextmanager
def writing(place: Path) -> Generator[None]:
    """Raises StoreError for whatever the system has against writing there."""
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        remedy = "free some space and run again" if error.errno == errno.ENOSPC else "choose another --out"
        raise StoreError(f"{place}: cannot be written: {error.strerror or error}; {remedy}") from None


def append_text(file: Path, text: str) -> int:
    """One write to the end of a file; where it begins. On failure (a full disk) the torn part is cut off again."""
    data = text.encode("utf-8")
    with writing(file), file.open("ab", buffering=0) as stream:
        start = stream.tell()
        try:
            written = 0
            while written < len(data):
                written += stream.write(data[written:])
        except OSError:
            stream.truncate(start)
            raise
        return start


def complete_lines(file: Path) -> Iterator[tuple[int, int, bytes]]:
    """Complete lines, each with its number from 1 and the place of its first byte."""
    if not file.exists():
        return
    place = 0
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):
                yield number, place, line
            place += len(line)


def drop_torn_line(file: Path) -> None:
    """Cut a file back to the end of its last complete line."""
    if not file.exists():
        return
    with file.open("rb+") as stream:
        size = end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            stream.truncate(end)
