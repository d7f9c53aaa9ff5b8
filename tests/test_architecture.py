"""The arrows of the house, checked from the code's own imports."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
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
FOLDERS = sorted({path.parent for path in FILES})
ONE_FILE_A_COMMAND = ROOT / "testbed" / "cli"
MOST_ENTRIES = 9


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports; `from a import b` counts as `a.b`, relative ones are made absolute."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def entries(folder: Path) -> set[str]:
    """The files and sub-folders of a folder, as names that an import would use."""
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
    return files | {path.name for path in folder.iterdir() if path in FOLDERS}


def arrows(folder: Path) -> dict[str, set[str]]:
    """Which entry of a folder imports which of its neighbours."""
    found: dict[str, set[str]] = defaultdict(set)
    here, names = folder.relative_to(ROOT).parts, entries(folder)
    for path in folder.rglob("*.py"):
        inside = path.relative_to(folder).with_suffix("").parts[0]
        for name in imported(path):
            parts = tuple(name.split("."))
            if inside in names and parts[: len(here)] == here and len(parts) > len(here):
                found[inside] |= {parts[len(here)]} & names - {inside}
    return found


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_imports_follow_the_arrows(path):
    room = path.relative_to(ROOT).parts[0]
    ours = tops(path) & set(MAY_IMPORT) - {room}
    assert ours <= MAY_IMPORT[room], f"{path} imports {ours - MAY_IMPORT[room]}"


@pytest.mark.parametrize("folder", FOLDERS, ids=shown)
def test_the_entries_of_a_folder_have_an_order(folder):
    try:
        TopologicalSorter(arrows(folder)).prepare()
    except CycleError as error:
        pytest.fail(f"{shown(folder)}: a circle of imports: {' ← '.join(error.args[1])}")


@pytest.mark.parametrize("folder", [path for path in FOLDERS if path != ONE_FILE_A_COMMAND], ids=shown)
def test_a_folder_is_seen_at_a_glance(folder):
    assert len(entries(folder)) <= MOST_ENTRIES, sorted(entries(folder))


@pytest.mark.parametrize("folder", FOLDERS, ids=shown)
def test_a_folder_says_what_it_is(folder):
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))


def test_imports_are_absolute():
    relative = [
        shown(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_nothing_is_pickled():
    offenders = [path for path in FILES if tops(path) & {"pickle", "dill", "cloudpickle", "shelve", "marshal"}]
    assert offenders == []


def test_no_room_for_everything():
    names = {path.stem for path in FILES}
    assert not names & {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}
