"""`manifest.jsonl`: a chain of hashes over a run's lines, sealed as they are written.

A seal says: the first `bytes` bytes of a file, cut at the seals before it, hash to `chain`, where

    chain_0 = SHA-256 of study.json,   chain_k = SHA-256(chain_{k-1} ‖ bytes of the file from seal k−1 to seal k).

Whoever changes, removes, adds or swaps anything in the sealed part breaks the chain from there on. It is no signature:
who can write the directory can seal anew, so keep the `heads` elsewhere. What lies behind the last seal was written
just before a process died, and says nothing; the next process that writes the run seals it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from testbed.records import disk
from testbed.records.append_only import append_text, set_aside

NAME = "manifest.jsonl"
STUDY = "study.json"
SEALED = ("episodes.jsonl", "events.jsonl", "influence.jsonl")

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a run directory that is not as it should be, or (a note) worth knowing."""

    severity: Literal["error", "note"]
    file: str
    where: str
    """Such as "line 7"; "" for the whole file."""
    what: str
    remedy: str = ""
    repairable: bool = False
    """Whether `procmem check run RUN --repair` mends it without losing what cannot be had again."""

    @property
    def sentence(self) -> str:
        place = f"{self.file}, {self.where}" if self.where else self.file
        return f"{place}: {self.what}" + (f"; {self.remedy}" if self.remedy else "")


class Seal(BaseModel):
    """A line of `manifest.jsonl`: the first `bytes` bytes of `file` are what they were."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    bytes: int
    chain: str


class Note(BaseModel):
    """A line of `manifest.jsonl`: what happened to the records, and when (UTC, ISO 8601)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    note: str


class Manifest:
    """The seals and notes of one run directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._last: dict[str, Seal] = {}

    def lines(self) -> list[Seal | Note]:
        """All complete lines. Raises ValueError naming the one that is neither."""
        if not self.path.exists():
            return []
        return [_parse(number, line) for number, line in enumerate(self.path.read_bytes().split(b"\n")[:-1], 1)]

    def seals(self) -> list[Seal]:
        """Raises ValueError as `lines` does."""
        return [line for line in self.lines() if isinstance(line, Seal)]

    def notes(self) -> list[Note]:
        """Raises ValueError as `lines` does."""
        return [line for line in self.lines() if isinstance(line, Note)]

    def resume(self) -> list[str]:
        """Go on behind the last seals; what does not fit them, in sentences. Raises OSError."""
        notices = self._set_damaged_aside()
        self._last = {seal.file: seal for seal in self.seals()}
        if not self._last:
            if any(_size(self.folder / file) for file in SEALED) and not notices:
                notices.append(f"there was no {NAME}: the records are sealed as they were found")
            study = (self.folder / STUDY).read_bytes()
            self._append(Seal(file=STUDY, bytes=len(study), chain=origin(self.folder)))
        for file in SEALED:
            size, sealed = _size(self.folder / file), self._last.get(file)
            if sealed and size < sealed.bytes:
                self.cut(file, size)
                notices.append(
                    f"{file} is shorter than it was by {sealed.bytes - size} bytes; what is owed is done again"
                )
        return notices

    def seal(self) -> None:
        """Seal what the files have grown by. Raises StoreError or OSError."""
        for file in SEALED:
            last, path = self._last.get(file), self.folder / file
            start, chain = (last.bytes, last.chain) if last else (0, self._last[STUDY].chain)
            if (size := _size(path)) > start:
                self._append(Seal(file=file, bytes=size, chain=_link(chain, path, start, size)))

    def note(self, text: str) -> None:
        """Raises StoreError where it cannot be written."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        append_text(self.path, Note(at=at, note=text).model_dump_json() + "\n")

    def cut(self, file: str, place: int) -> None:
        """Forget the seals of what lay behind `place`: it was taken out on purpose. Raises OSError."""
        self._set_damaged_aside()
        kept = [line for line in self.lines() if isinstance(line, Note) or line.file != file or line.bytes <= place]
        disk.write_atomically(self.path, "".join(line.model_dump_json() + "\n" for line in kept))
        self._last = {line.file: line for line in kept if isinstance(line, Seal)}

    def _set_damaged_aside(self) -> list[str]:
        try:
            self.lines()
        except ValueError:
            aside = set_aside(self.path, [(0, _size(self.path))])
            return [f"{NAME} was damaged and moved to {aside.name}: the records are sealed anew as they were found"]
        return []

    def _append(self, seal: Seal) -> None:
        append_text(self.path, seal.model_dump_json() + "\n")
        self._last[seal.file] = seal


def _parse(number: int, line: bytes) -> Seal | Note:
    try:
        content = from_json(line)
        return Note.model_validate(content) if "note" in content else Seal.model_validate(content)
    except (ValidationError, ValueError, TypeError):
        raise ValueError(f"line {number}") from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def origin(folder: Path) -> str:
    """Where the chains begin: the SHA-256 of study.json. Raises OSError."""
    return hashlib.sha256((folder / STUDY).read_bytes()).hexdigest()


def heads(folder: Path) -> dict[str, str]:
    """The last hash of every sealed file, to be kept elsewhere: who seals anew cannot change it there.

    Raises ValueError for a damaged manifest.
    """
    return {seal.file: seal.chain for seal in Manifest(folder).seals()}


def verify_chain(folder: Path) -> list[Fault]:
    """What a run's lines and its seals say against each other; empty where all is as it was written.

    Notes are: a run without a manifest, lines behind the last seal, and what happened to the records before.
    """
    manifest = Manifest(folder)
    try:
        lines = manifest.lines()
        first = origin(folder)
    except ValueError as error:
        return [Fault("error", NAME, str(error), "is no seal", "restore it from a copy")]
    except OSError as error:
        return [Fault("error", STUDY, "", f"cannot be read: {error.strerror}", "restore it from a copy")]
    faults = [Fault("note", NAME, line.at, line.note) for line in lines if isinstance(line, Note)]
    seals = [line for line in lines if isinstance(line, Seal)]
    if seals and (seals[0].chain, seals[0].bytes) != (first, _size(folder / STUDY)):
        first = seals[0].chain
        faults.append(Fault("error", STUDY, "", "was changed after the run was begun", "restore it from a copy"))
    for file in SEALED:
        faults += _verify(folder / file, first, [seal for seal in seals if seal.file == file])
    return faults


def _verify(path: Path, chain: str, seals: list[Seal]) -> Iterator[Fault]:
    start, size = 0, _size(path)
    for seal in seals:
        if not start < seal.bytes <= size:
            what = f"is shorter ({size} bytes) than it was ({seal.bytes}): lines were removed"
            yield Fault("error", path.name, "", what, "restore it from a copy")
            return
        if _link(chain, path, start, seal.bytes) != seal.chain:
            what = "not what was written: something was changed, added, removed or swapped"
            yield Fault("error", path.name, _lines(path, start, seal.bytes), what, "restore it from a copy")
            return
        start, chain = seal.bytes, seal.chain
    if size > start:
        why = "its writer died or is at work" if seals else "there are no seals, so changes cannot be told"
        yield Fault("note", path.name, f"from byte {start}", f"not sealed: {why}")


def _link(chain: str, path: Path, start: int, stop: int) -> str:
    digest = hashlib.sha256(chain.encode())
    for block in _blocks(path, start, stop):
        digest.update(block)
    return digest.hexdigest()


def _lines(path: Path, start: int, stop: int) -> str:
    """The lines of a stretch of bytes, by their numbers."""
    first = sum(block.count(b"\n") for block in _blocks(path, 0, start)) + 1
    last = first + sum(block.count(b"\n") for block in _blocks(path, start, stop - 1))
    return f"line {first}" if last <= first else f"lines {first} to {last}"


def _blocks(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while start < stop and (block := stream.read(min(CHUNK, stop - start))):
            start += len(block)
            yield block
