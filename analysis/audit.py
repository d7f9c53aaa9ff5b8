"""Audit: a report rebuilt from the records, and every file of it compared with the one that is there."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.results import FORMAT

MOST_TOLD = 20
"""Differences that are told of one file; the rest are counted."""
RELATIVE, ABSOLUTE = 1e-7, 1e-9
"""How far apart two numbers may lie that another processor has computed: sums are taken in another order there."""
LONG = 7
"""Digits from which on a printed number is compared so; shorter ones were rounded and must be equal."""
_ID = re.compile(r"\b(gradient_|clip|data-)(?:\d+|[0-9a-f]{32})\b")
_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class AuditError(ValueError):
    """A report that cannot be audited; the message says why and what to do."""


def read_findings(folder: Path, remedy: str) -> Mapping[str, Any]:
    """`findings.json` of a report. Raises AuditError where it is not there, or is damaged."""
    path = folder / "findings.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AuditError(f"{path}: there is no report; write it with `{remedy}`") from None
    except (OSError, ValueError, RecursionError) as error:
        raise AuditError(f"{path}: damaged ({error}); write it again: `{remedy}`") from None
    if not isinstance(content, dict):
        raise AuditError(f"{path}: damaged (not a JSON object); write it again: `{remedy}`")
    return content


def compare_reports(stored: Path, rebuilt: Path) -> list[str]:
    """One sentence for each file, number or text of a stored report that the rebuilt one does not have.

    Numbers may differ by what another processor's order of summation makes of them; everything else must be equal.
    """
    then, now = (
        {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        for folder in (stored, rebuilt)
    )
    differences = [f"{name}: in the report, but the records do not give it." for name in then if name not in now]
    differences += [f"{name}: given by the records, but not in the report." for name in now if name not in then]
    equal = {name for name in now if name in then and _content(then[name]) == _content(now[name])}
    for name in [name for name in now if name in then and name not in equal]:
        if name.endswith((".pdf", ".png")) and name[:-4] + ".svg" not in equal:
            continue  # its SVG is compared number by number; the others are drawn from it
        found = list(_differences(then[name], now[name]))
        differences += [f"{name}: {each}." for each in found[:MOST_TOLD]]
        if len(found) > MOST_TOLD:
            differences.append(f"{name}: and {len(found) - MOST_TOLD} differences more.")
    return differences


def _content(path: Path) -> object:
    """What of a file must be equal: not the order of a PDF's objects, nor the numbers that a process gave a drawing."""
    content = path.read_bytes()
    if path.suffix == ".pdf":
        return sorted(_STREAM.findall(content))
    return _numbered(content.decode(errors="replace")) if path.suffix == ".svg" else content


def _numbered(text: str) -> str:
    """Gradients, clips and data (which Altair names after their digits) numbered anew in the order of appearance."""
    places: dict[str, int] = {}
    return _ID.sub(lambda found: f"{found[1]}{places.setdefault(found[0], len(places))}", text)


def _differences(then: Path, now: Path) -> Iterator[str]:
    try:
        if then.suffix == ".parquet":
            yield from _frames(pd.read_parquet(then), pd.read_parquet(now))
        elif then.suffix == ".json":
            first, second = (json.loads(path.read_text(encoding="utf-8")) for path in (then, now))
            yield from _values(first, second, "")
        elif then.suffix in (".pdf", ".png"):
            yield "is not what its SVG gives"
        else:
            yield from _texts(*(_numbered(path.read_text(encoding="utf-8")) for path in (then, now)))
    except (OSError, ValueError, RecursionError) as error:
        yield f"cannot be read ({' '.join(str(error).split())[:120]})"


def _values(then: Any, now: Any, place: str) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            inner = f"{place}.{key}" if place else str(key)
            if key not in then or key not in now:
                there = "not in the report" if key in now else "in the report, but the records do not give it"
                yield f"{inner} is {there}"
            else:
                yield from _values(then[key], now[key], inner)
    elif isinstance(then, list) and isinstance(now, list):
        if len(then) != len(now):
            yield f"{place} has {len(then)} entries in the report, the records give {len(now)}"
        for index, (first, second) in enumerate(zip(then, now, strict=False)):
            yield from _values(first, second, f"{place}.{_name(first, index)}")
    elif not same(then, now):
        yield f"{place} is {_short(then)} in the report, the records give {_short(now)}"


def _name(value: object, index: int) -> str:
    return str(value["id"]) if isinstance(value, dict) and "id" in value else str(index)


def _frames(then: pd.DataFrame, now: pd.DataFrame) -> Iterator[str]:
    if list(then.columns) != list(now.columns) or len(then) != len(now):
        yield f"has {then.shape[0]} rows and {then.shape[1]} columns in the report, the records give {now.shape}"
        return
    for column in then.columns:
        for row, (first, second) in enumerate(zip(then[column].tolist(), now[column].tolist(), strict=True)):
            if not same(first, second) and not (_absent(first) and _absent(second)):
                yield f"row {row}, {column} is {_short(first)} in the report, the records give {_short(second)}"


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _texts(then: str, now: str) -> Iterator[str]:
    """Line by line: words between numbers must be equal, numbers as `same_number` has it."""
    first, second = then.splitlines(), now.splitlines()
    if len(first) != len(second):
        yield f"has {len(first)} lines in the report, the records give {len(second)}"
    for number, (left, right) in enumerate(zip(first, second, strict=False), 1):
        if left != right and not _same_line(left, right):
            start = next((k for k, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), 0)
            here = slice(max(0, start - 30), start + 60)
            yield f"line {number} says {_short(left[here])}, the records give {_short(right[here])}"


def _same_line(first: str, second: str) -> bool:
    if _NUMBER.split(first) != _NUMBER.split(second):
        return False
    pairs = zip(_NUMBER.findall(first), _NUMBER.findall(second), strict=True)
    return all(a == b or same_number(a, b) for a, b in pairs)


def same_number(first: str, second: str) -> bool:
    """Two printed numbers: equal up to rounding where both are long, to the letter where one was rounded short."""
    long = max(sum(character.isdigit() for character in each) for each in (first, second)) >= LONG
    return long and same(float(first), float(second))


def same(first: object, second: object) -> bool:
    """Equal, or as near as another processor's sums are."""
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(first) is type(second) and first == second


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 90 else text[:87] + "…"


def compare_settings(recorded: Mapping[str, Any], declared: Mapping[str, Any]) -> list[str]:
    """How the settings of a report's `findings.json` differ from those that its study declares."""
    differences = [] if recorded.get("format") == FORMAT else [f"format is {recorded.get('format')!r}, not {FORMAT}."]
    return differences + [
        f"{name} is {_short(recorded.get(name))} in the report, the study declares {_short(value)}."
        for name, value in declared.items()
        if not same(recorded.get(name), value)
    ]
