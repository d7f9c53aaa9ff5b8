"""Named choices: a name stands for a class of ours, or for anybody's as "package.module:Name" or an entry point."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any, TypeVar, cast

from testbed.config.study import ConfigError

T = TypeVar("T")


def resolve(known: Mapping[str, T], name: str, place: str) -> T:
    """What `name` means at `place` in a study (such as "skills.selector").

    Looked up in `known`, then imported if it reads "package.module:Name", then among the entry points of the group
    "procmem.<place>". Raises ConfigError, naming the nearest known names.
    """
    if name in known:
        return known[name]
    found = _imported(name, place) if ":" in name else _installed(name, place)
    if found is not None:
        return cast("T", found)
    nearest = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(known)}"
    raise ConfigError(f"{place}: unknown {name!r}; {remedy}")


def _imported(name: str, place: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{place}: cannot import {name!r} ({error}); is its package installed or its folder on PYTHONPATH?"
        ) from None


@lru_cache
def _installed(name: str, place: str) -> Any:
    """From an installed package's entry points; remembered, because looking through all packages takes a while."""
    for entry in entry_points(group=f"procmem.{place}", name=name):
        return entry.load()
    return None
