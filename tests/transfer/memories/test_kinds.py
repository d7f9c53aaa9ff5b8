"""No memory is written and then forgotten in `MEMORIES`."""

from importlib import import_module
from pkgutil import walk_packages

import transfer.memories
from transfer.memories.kinds import MEMORIES
from transfer.memories.lessons import MemoryKind


def test_every_kind_has_its_name():
    modules = [import_module(found.name) for found in walk_packages(transfer.memories.__path__, "transfer.memories.")]
    written = {
        value.value.label for module in modules for value in vars(module).values() if isinstance(value, MemoryKind)
    }
    assert written == set(MEMORIES)
