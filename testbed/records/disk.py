"""What a power cut leaves: files written whole or not at all, and bytes that are really on the disk.

POSIX keeps what was written only after fsync of the file, and a new or renamed name only after fsync of its folder.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """The whole file or the old one, whenever the power goes: a temporary file, fsync, rename, fsync of the folder.

    Raises OSError, and then leaves no temporary file.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def make_folder(path: Path) -> None:
    """A folder and those above it that are missing, each known to the one that holds it. Raises OSError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Returns when a file's bytes, or a folder's names, are on the disk. Raises OSError."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders, and keeps their names itself
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # what some network file systems say to a folder
            raise
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """`sync` of a folder and of all that lies in it, from below. Raises OSError."""
    for place in sorted(folder.rglob("*"), reverse=True):
        if not place.is_symlink():
            sync(place)
    sync(folder)
