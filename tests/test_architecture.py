"""The arrows of the house, checked from the code's own imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "environments": set(),
    "agents": {"environments"},
    "transfer": {"environments", "agents"},
    "analysis": set(),
    "testbed": {"environments", "agents", "transfer", "analysis"},
}
FILES = [path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py")]


def imported(path: Path) -> set[str]:
    tops: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            tops.add(node.module.split(".")[0])
    return tops


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path):
    room = path.relative_to(ROOT).parts[0]
    ours = imported(path) & set(MAY_IMPORT) - {room}
    assert ours <= MAY_IMPORT[room], f"{path} imports {ours - MAY_IMPORT[room]}"


def test_nothing_is_pickled():
    offenders = [path for path in FILES if imported(path) & {"pickle", "dill", "cloudpickle", "shelve", "marshal"}]
    assert offenders == []


def test_no_room_for_everything():
    names = {path.stem for path in FILES}
    assert not names & {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}
