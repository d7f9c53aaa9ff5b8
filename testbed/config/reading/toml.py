"""A study file as plain data: read, bounded, changed by `--set`."""

from __future__ import annotations

import codecs
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testbed.config.reading.complaint import abridged
from testbed.config.study import ConfigError

LARGEST_FILE = 1 << 20
"""Bytes of a study file."""
DEEPEST = 32
"""Tables within tables."""


def read_toml(path: Path) -> dict[str, Any]:
    """Raises ConfigError where there is no such file, or it is no TOML."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        return _parse_toml(_decode(content))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; see examples/ for studies to start from") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as TOML: {error}{_windows_path(error)}") from None


def _decode(content: bytes) -> str:
    """Text as editors write it, also those of Windows: with or without a byte order mark. Raises ValueError."""
    if len(content) > LARGEST_FILE:
        raise ValueError(f"it is larger than {LARGEST_FILE} bytes")
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def _parse_toml(text: str) -> dict[str, Any]:
    """Raises ValueError, also where Python gives up on the depth or the digits of what is written."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:
        raise ValueError("a number in it has too many digits") from None
    except RecursionError:
        raise ValueError(f"it is nested too deeply; {DEEPEST} tables within each other are enough") from None


def _windows_path(error: Exception) -> str:
    """A remedy for the commonest mistake in files written on Windows."""
    if not any(word in str(error) for word in ("'\\' in a string", "hex value", "character sequence after", "escape")):
        return ""
    return r". In double quotes \ begins an escape: write a path as 'C:\models' in single quotes, or with /"


def check_bounds(data: object, place: str) -> None:
    """Nothing in a study needs such depth or such numbers, and what checks it further on cannot bear them.

    Raises ConfigError.
    """
    stack = [(data, 0)]
    while stack:
        value, depth = stack.pop()
        if depth > DEEPEST:
            raise ConfigError(f"{place}: it is nested too deeply; {DEEPEST} tables within each other are enough")
        if isinstance(value, Mapping):
            stack += [(each, depth + 1) for each in value.values()]
        elif isinstance(value, (list, tuple)):
            stack += [(each, depth + 1) for each in value]
        elif isinstance(value, int) and abs(value) >= 1 << 63:
            raise ConfigError(f"{place}: a number of more than 63 bits stands in it; write a smaller one")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{place}: {value} stands in it; write a finite number")


def override_with(data: dict[str, Any], override: str) -> None:
    """Change one value of a study given as plain data, as `key=value`. Raises ConfigError."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override}: write it as key=value, for example --set learning.iterations=2")
    try:
        value = _parse_toml(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    except ValueError as error:
        raise ConfigError(f"--set {abridged(override)}: not readable as TOML: {error}") from None
    *tables, last = key.strip().split(".")
    place: Any = data
    try:
        for name in tables:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[int(last) if isinstance(place, list) else last] = value
    except (AttributeError, TypeError, ValueError, IndexError):
        raise ConfigError(
            f"--set {override}: there is no such place in the study; agents and tasks are numbered from 0, "
            "as in agents.0.model"
        ) from None
