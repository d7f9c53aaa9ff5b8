"""Append-only files of lines: written whole or not at all, read up to the last complete line."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import Timeout

from testbed.records import disk


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


def complete_lines(file: Path, start: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Complete lines from byte `start` on, each with its number from there and the place of its first byte."""
    if not file.exists():
        return
    place = start
    with file.open("rb") as stream:
        stream.seek(start)
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):
                yield number, place, line
            place += len(line)


def torn_from(file: Path) -> int:
    """Where an incomplete last line begins; 0 where there is none, or nothing but it."""
    end = 0
    for _, place, line in complete_lines(file):
        end = place + len(line)
    return end if file.exists() and file.stat().st_size > end else 0


def drop_torn_line(file: Path) -> bool:
    """Cut a file back to the end of its last complete line; whether there was anything behind it. Raises OSError."""
    if not file.exists():
        return False
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
        return end < size


def set_aside(file: Path, parts: Sequence[tuple[int, int]]) -> Path:
    """Move stretches of bytes (start, stop; ascending) out of a file into another beside it, which is returned.

    Raises OSError; nothing is lost, whenever the power goes.
    """
    aside = file.with_name(f"{file.stem}.damaged{file.suffix}")
    partial = file.with_name(f".{file.name}.partial")
    kept = zip([0, *(stop for _, stop in parts)], [*(start for start, _ in parts), None], strict=True)
    try:
        with file.open("rb") as stream, aside.open("ab") as damaged, partial.open("wb") as rest:
            for start, stop in parts:
                stream.seek(start)
                damaged.write(stream.read(stop - start).rstrip(b"\n") + b"\n")
            for start, stop in kept:
                stream.seek(start)
                _copy(stream, rest, None if stop is None else stop - start)
        disk.sync(aside)
        disk.sync(partial)
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    disk.sync(file.parent)
    return aside


def _copy(source: BinaryIO, target: BinaryIO, size: int | None) -> None:
    while (size is None or size > 0) and (block := source.read(1 << 20 if size is None else min(size, 1 << 20))):
        target.write(block)
        size = None if size is None else size - len(block)
