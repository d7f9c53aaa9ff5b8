"""Where a report lies: it is written beside its place and put there at once, by one process at a time."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from testbed.records import disk
from testbed.records.append_only import StoreError, writing

PARTS = frozenset({"report.html", "findings.json", "tables", "figures", "headline.svg", "headline.png"})
"""What a report is made of. A folder that holds anything else is somebody's own, and is not replaced."""


@contextmanager
def replacing(out: Path) -> Generator[Path]:
    """A new folder to write a report into; when all is written it takes the place of `out`.

    Whatever ends the process before that, or the power, leaves the old report as it was. Raises StoreError, in a
    sentence, where another process writes the same report, where `out` is no report's folder, and for all that the
    system has against writing there.
    """
    out = out.resolve()
    stage, old = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.old")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with _alone(out):
            if old.exists() and not out.exists():
                old.rename(out)  # killed between the two renames of `_swap`
            if out.exists() and not out.is_dir():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(out))
            for left in (stage, old):
                shutil.rmtree(left, ignore_errors=True)
            stage.mkdir()
            try:
                yield stage
                disk.sync_folder(stage)
                _swap(stage, out, old)
                disk.sync(out.parent)
            finally:
                shutil.rmtree(stage, ignore_errors=True)


def _swap(stage: Path, out: Path, old: Path) -> None:
    if not out.exists():
        stage.rename(out)
        return
    if foreign := sorted({path.name for path in out.iterdir()} - {path.name for path in stage.iterdir()} - PARTS):
        raise StoreError(f"{out}: holds {foreign[0]}, which is no part of a report; move it or choose another --out")
    out.rename(old)
    try:
        stage.rename(out)
    except BaseException:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _alone(out: Path) -> Generator[None]:
    lock = FileLock(out.with_name(f".{out.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"{out}: another process is writing this report; wait for it") from None
    try:
        yield
    finally:
        lock.release()
