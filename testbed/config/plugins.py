"""Named choices: a name stands for a class of ours, or for anybody's as "package.module:Name" or an entry point."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points, packages_distributions, version
from pathlib import Path
from typing import Any, TypeVar, cast

from environments.registry import ENVIRONMENTS
from environments.spec import ChoiceError, EnvSpec
from testbed.config.reading.near_miss import did_you_mean
from testbed.config.study import ConfigError, StudyConfig

T = TypeVar("T")
SHOWN = 12
"""Names that an error lists."""

CODE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
"""What can be imported, and nothing else is: "package.module:Name"."""


def resolve(known: Mapping[str, T], name: str, *, group: str, place: str = "") -> T:
    """What `name` means in a study, at `place` (such as "policy broadcast: exchange"; as the group where not given).

    Looked up in `known`, then imported if it reads "package.module:Name", then among the entry points of the group
    "procmem.<group>". Raises ConfigError, naming the nearest known names.
    """
    if name in known:
        return known[name]
    place = place or group
    if ":" in name:
        return cast("T", _imported(name, place))
    entries = installed(group)
    if name in entries:
        return cast("T", call(entries[name].load, name, place))
    names = [*known, *entries]
    some = ", ".join(names[:SHOWN]) + (", …" if len(known) > SHOWN else "")
    raise ConfigError(f"{place}: unknown {name!r}; {did_you_mean(name, names, cutoff=0.6) or f'there are: {some}'}")


def resolve_data(known: Mapping[str, T], name: str, *, group: str, place: str = "") -> T:
    """As `resolve`, of a name in a stored file, which is data: it may name what is installed, and imports nothing."""
    if name not in known and ":" in name:
        raise ConfigError(f"{place or group}: {name[:60]!r} names code, which is imported for no file of data")
    return resolve(known, name, group=group, place=place)


def find_environment(name: str, place: str = "environment") -> EnvSpec:
    """The game called `name`, which may also name an EnvSpec or what returns one. Raises ConfigError as `resolve`."""
    try:
        return ENVIRONMENTS[name]
    except ChoiceError as error:
        raise ConfigError(f"{place}: {error}") from None
    except KeyError:
        pass
    found: object = resolve(ENVIRONMENTS, name, group="environments", place=place)
    spec = call(found, name, place) if callable(found) else found
    if not isinstance(spec, EnvSpec):
        raise ConfigError(f"{place}: {name!r} gives a {type(spec).__name__}, not an EnvSpec")
    return spec


def named_code(config: StudyConfig) -> dict[str, str]:
    """Everything that a study would import by name, place → name. A model that a server holds is not imported."""
    return dict(_named(config.model_dump(mode="json"), ""))


def _named(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if CODE.fullmatch(value):
            yield place, value
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _named(each, f"{place}.{index}")
    elif isinstance(value, dict):
        for key, each in value.items():
            asked = key == "model" and value.get("base_url")
            scripted = key in ("model", "opponent") and str(each).startswith("scripted:")
            if not asked and not scripted:
                yield from _named(each, f"{place}.{key}" if place else key)


def origin(name: str, group: str) -> dict[str, str]:
    """Whose code stands behind a name that is not ours, and which: the version of its package, or where it belongs to
    none a digest (12 digits of SHA-256) of its file. Empty for our own names."""
    entries = installed(group)
    if CODE.fullmatch(name):
        module = name.partition(":")[0]
        package = next(iter(packages_distributions().get(module.partition(".")[0], [])), None)
        file = getattr(sys.modules.get(module), "__file__", None)
        if package is None and file is not None:
            return {module: hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]}
        return {} if package is None else {package: version(package)}
    dist = entries[name].dist if name in entries else None
    return {} if dist is None else {dist.name: dist.version}


def _imported(name: str, place: str) -> Any:
    if not CODE.fullmatch(name):
        raise ConfigError(f"{place}: cannot import {name!r}; code is named as package.module:Name")
    module, _, attribute = name.partition(":")
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise ConfigError(f"{place}: {name!r} is of Python's own library, which holds nothing that a study can use")
    return call(lambda: getattr(importlib.import_module(module), attribute), name, place)


def call(function: Callable[[], Any], name: str, place: str) -> Any:
    """What somebody's code returns. Raises ConfigError for whatever it raises."""
    try:
        return function()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{place}: cannot import {name!r} ({error}); is its package installed or its folder on PYTHONPATH?"
        ) from error
    except Exception as error:
        raise ConfigError(f"{place}: {name!r} raised {type(error).__name__}: {error}") from error


@lru_cache
def installed(group: str) -> Mapping[str, EntryPoint]:
    """Entry points of installed packages by name; remembered, because looking through all packages takes a while."""
    return {entry.name: entry for entry in entry_points(group=f"procmem.{group}")}
