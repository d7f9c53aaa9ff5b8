"""`memories/`: every memory that anybody played with but skill pools, under the digest of its content."""

from __future__ import annotations

from pathlib import Path

from testbed.config.plugins import resolve_data
from testbed.records import disk
from testbed.records.append_only import writing
from testbed.records.side_files.pool_folder import DIGEST
from transfer.memory.memory import Memory
from transfer.memory.pool import PoolError
from transfer.registry import Resolve, load_memory


class MemoryFolder:
    """Memories are written once and never changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept: set[str] = set()

    def keep(self, memory: Memory) -> str:
        """Store a memory, also where its file is there but empty or torn; its digest. Raises StoreError."""
        if memory.digest not in self._kept:
            file, text = self._file(memory.digest), memory.dumps()
            with writing(self.path):
                if not self.path.is_dir():
                    disk.make_folder(self.path)
                if not file.exists() or file.read_bytes() != text.encode():
                    disk.write_atomically(file, text)
            self._kept.add(memory.digest)
        return memory.digest

    def load(self, digest: str, resolve: Resolve = resolve_data) -> Memory:
        """Raises PoolError where it is not there, damaged, or another; as `resolve` for an unknown kind."""
        if not DIGEST.fullmatch(digest):
            raise PoolError(f"{digest[:60]!r} is no name of a memory: a digest of 16 hexadecimal digits is")
        file = self._file(digest)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise PoolError(f"cannot read the memory {file}: {error}; restore it from a copy") from None
        memory = load_memory(text, str(file), resolve)
        if memory.digest != digest:
            raise PoolError(f"{file} holds the memory {memory.digest}")
        return memory

    def digests(self) -> set[str]:
        """Names of the files that are there."""
        return {path.stem for path in self.path.glob("*.json")}

    def _file(self, digest: str) -> Path:
        return self.path / f"{digest}.json"
