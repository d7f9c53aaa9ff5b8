"""A disk that loses power: which states it may be in, by what was written, synced and renamed so far.

POSIX promises the bytes of a file after its fsync, and a name after fsync of its folder, and nothing else. Of what was
not synced a disk may hold nothing, or names without bytes (what ext4 leaves), or half of the bytes.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from testbed.records import append_only, disk

Loss = Literal["everything", "bytes", "half"]
LOSSES: tuple[Loss, ...] = ("everything", "bytes", "half")


class Step(NamedTuple):
    """What a program asked of the disk. `place` and `target` are relative to its root."""

    kind: Literal["write", "sync", "rename", "truncate", "folder", "mark"]
    place: str
    data: bytes = b""
    target: str = ""
    size: int = 0


@contextmanager
def recorded(root: Path) -> Generator[list[Step]]:
    """Everything that `testbed.records` writes under `root`, in order."""
    steps: list[Step] = []

    def name(path: object) -> str:
        return str(Path(str(path)).relative_to(root))

    sizes: dict[str, int] = {}

    def seen(path: Path) -> None:
        """What stands in a file beyond what is known of it: whoever wrote it, and by whatever call."""
        known = sizes.get(name(path), 0)
        data = path.read_bytes()
        if len(data) < known:
            steps.append(Step("truncate", name(path), size=len(data)))
        elif len(data) > known or name(path) not in sizes:
            steps.append(Step("write", name(path), data[known:]))
        sizes[name(path)] = len(data)

    fsync, replace, append, mkdir = os.fsync, Path.replace, append_only.append_text, Path.mkdir

    def watched_fsync(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        for file in [path] if path.is_file() else sorted(path.iterdir()):
            if file.is_file():
                seen(file)
        fsync(handle)
        steps.append(Step("sync", name(path)))

    def watched_replace(self: Path, target: Path) -> Path:
        seen(self)
        steps.append(Step("rename", name(self), target=name(target)))
        sizes[name(target)] = sizes.pop(name(self))
        return replace(self, target)

    def watched_append(file: Path, text: str) -> int:
        place = append(file, text)
        seen(file)
        return place

    def watched_mkdir(self: Path, *args: object, **named: object) -> None:
        mkdir(self, *args, **named)  # pyright: ignore[reportArgumentType]
        steps.append(Step("folder", name(self)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk.os, "fsync", watched_fsync)
        patch.setattr(Path, "replace", watched_replace)
        patch.setattr(Path, "mkdir", watched_mkdir)
        for module in ("run_directory", "side_files.manifest", "append_only"):
            patch.setattr(f"testbed.records.{module}.append_text", watched_append)
        yield steps


def lose_power(steps: list[Step], loss: Loss, root: Path) -> None:
    """Lay out under `root` what a disk holds when the power goes after these steps."""
    names: dict[str, int] = {}  # what programs see: a name stands for a file
    kept: dict[str, int] = {}  # what is on the disk
    now: list[bytes] = []
    synced: list[bytes] = []
    folders, kept_folders = {"."}, {"."}
    for step in steps:
        if step.kind == "folder":
            folders.add(step.place)
        elif step.kind == "write":
            if step.place not in names:
                names[step.place] = len(now)
                now.append(b"")
                synced.append(b"")
            now[names[step.place]] += step.data
        elif step.kind == "truncate":
            now[names[step.place]] = now[names[step.place]][: step.size]
        elif step.kind == "rename":
            names[step.target] = names.pop(step.place)
        elif step.kind == "sync" and step.place in names:
            synced[names[step.place]] = now[names[step.place]]
        elif step.kind == "sync":
            inside = {place: file for place, file in names.items() if str(Path(place).parent) == step.place}
            kept = {place: file for place, file in kept.items() if str(Path(place).parent) != step.place} | inside
            kept_folders |= {folder for folder in folders if str(Path(folder).parent) == step.place}
    if loss != "everything":
        kept, kept_folders = names, folders
    for folder in sorted(kept_folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for place, file in kept.items():
        if str(Path(place).parent) in kept_folders:
            sure, last = synced[file], now[file]
            grown = last[len(sure) :] if last.startswith(sure) else b""
            (root / place).write_bytes(sure + (grown[: len(grown) // 2] if loss == "half" else b""))
