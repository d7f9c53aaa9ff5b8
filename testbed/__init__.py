"""Testbed: what runs, when, where, and where it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.reports.tables import load_run

__all__ = ["load_run"]


def __getattr__(name: str) -> Any:
    """Load `load_run` when it is asked for: pandas takes a second, and `procmem --help` does without."""
    if name != "load_run":
        raise AttributeError(f"module 'testbed' has no attribute {name!r}")
    from testbed.reports.tables import load_run

    return load_run
