"""Reading a study file for a command: what it names is imported only where the person at the keyboard allows it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from testbed.config.study import StudyConfig

Plugins = Annotated[
    bool,
    typer.Option(
        "--plugins",
        envvar="PROCMEM_PLUGINS",
        help="Import the code that the study names (package.module:Name): the file is a program then.",
    ),
]


def read_study(path: Path, overrides: Sequence[str] = (), *, plugins: bool = False) -> StudyConfig:
    """As `load_study`, with the digests of the pools it is given.

    Raises ConfigError, before anything is imported, for a study that names code without leave.
    """
    from testbed.config.reading.load import load_study

    return with_leave(load_study(path, overrides), str(path), plugins=plugins)


def with_leave(config: StudyConfig, place: str, *, plugins: bool) -> StudyConfig:
    """The study with the digests of its pools, if it names no code or has leave to. Raises as `read_study`."""
    from testbed.config.plugins import named_code
    from testbed.config.study import ConfigError

    if plugins:
        open_working_folder()
    elif named := named_code(config):
        where, name = next(iter(named.items()))
        others = f" and {len(named) - 1} more" if len(named) > 1 else ""
        raise ConfigError(
            f"{place}: {where} names code, {name!r}{others}, which would be imported and run; if you trust it, "
            "add --plugins (or set PROCMEM_PLUGINS=1)"
        )
    if not config.pools:
        return config
    from testbed.play.pools import with_digests

    return with_digests(config)


def open_working_folder() -> None:
    """So that a module of the folder one works in can be named."""
    if "" not in sys.path:
        sys.path.append("")
