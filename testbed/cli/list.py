"""`procmem list`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Annotated

import typer


def _environments() -> Iterable[str]:
    from environments.registry import ENVIRONMENTS

    return ENVIRONMENTS


def _models() -> Iterable[str]:
    from agents.models.scripted import POLICIES
    from agents.models.weights.catalog import MODELS

    return [*MODELS, *(f"scripted:{name}" for name in POLICIES)]


def _selectors() -> Iterable[str]:
    from agents.selection import SELECTORS

    return SELECTORS


def _terminations() -> Iterable[str]:
    from agents.options import TERMINATIONS

    return TERMINATIONS


def _learners() -> Iterable[str]:
    from transfer.registry import LEARNERS

    return LEARNERS


def _exchanges() -> Iterable[str]:
    from transfer.exchange.policies import EXCHANGES

    return EXCHANGES


def _admissions() -> Iterable[str]:
    from transfer.exchange.policies import ADMISSIONS

    return ADMISSIONS


def _poisons() -> Iterable[str]:
    from transfer.contamination.poison import POISONS

    return POISONS


def _studies() -> Iterable[str]:
    from testbed.studies.run import STUDIES

    return STUDIES


LISTS: dict[str, Callable[[], Iterable[str]]] = {
    "environments": _environments,
    "models": _models,
    "selectors": _selectors,
    "terminations": _terminations,
    "learners": _learners,
    "exchanges": _exchanges,
    "admissions": _admissions,
    "poisons": _poisons,
    "studies": _studies,
}


def names(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(LISTS)}.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """List what a study may name, one a line. Example: `procmem list environments`"""
    from testbed.config.study import ConfigError

    if kind not in LISTS:
        raise ConfigError(f"list: unknown {kind!r}; there are: {', '.join(LISTS)}")
    found = list(LISTS[kind]())
    typer.echo(json.dumps(found) if as_json else "\n".join(found))
