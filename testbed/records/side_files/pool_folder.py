"""`pools/`: every pool that anybody played with, under the digest of its content."""

from __future__ import annotations

import re
from pathlib import Path

from testbed.records import disk
from testbed.records.append_only import writing
from transfer.memory.pool import PoolError, SkillPool

DIGEST = re.compile(r"[0-9a-f]{16}")
"""The name of a pool."""


class PoolFolder:
    """Pools are written once and never changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept: set[str] = set()

    def keep(self, pool: SkillPool) -> str:
        """Store a pool, also where its file is there but empty or torn; its digest. Raises StoreError."""
        if pool.digest not in self._kept:
            with writing(self.path):
                if not self._holds(pool.digest):
                    disk.write_atomically(self._file(pool.digest), pool.dumps())
            self._kept.add(pool.digest)
        return pool.digest

    def load(self, digest: str) -> SkillPool:
        """Raises PoolError where it is not there, damaged, or another."""
        if not DIGEST.fullmatch(digest):
            raise PoolError(f"{digest[:60]!r} is no name of a pool: a digest of 16 hexadecimal digits is")
        pool = SkillPool.load(self._file(digest))
        if pool.digest != digest:
            raise PoolError(f"{self._file(digest)} holds the pool {pool.digest}")
        return pool

    def all(self) -> dict[str, SkillPool]:
        """By digest. Raises PoolError as `load`."""
        return {path.stem: self.load(path.stem) for path in sorted(self.path.glob("*.json"))}

    def _file(self, digest: str) -> Path:
        return self.path / f"{digest}.json"

    def _holds(self, digest: str) -> bool:
        try:
            return self.load(digest).digest == digest
        except PoolError:
            return False
