"""`procmem run --dry-run`: what a study costs, and what it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from testbed.cli.terminal import output, plain, say_json
from testbed.config.study import StudyConfig
from testbed.studies.cost.forecast import forecast


def print_forecast(config: StudyConfig, *, full: bool, as_json: bool) -> None:
    """The cost, then what the study file says; with `full` every default as well."""
    cost = forecast(config)
    resolved = config.model_dump(mode="json")
    if as_json:
        say_json({"config": resolved, "digest": config.digest, "forecast": asdict(cost)})
        return
    console = output()
    table = Table("", "", title=f"{config.study}-{config.digest}", show_header=False)
    for name, value in (("episodes", cost.episodes), *asdict(cost).items()):
        table.add_row(name.replace("_", " "), f"{value:,}")
    console.print(table)
    console.print("Steps, calls and tokens are estimates from scripted games; the learner's own calls come on top.")
    if full:
        console.print_json(json.dumps(resolved))
        return
    study = Table.grid(padding=(0, 2))
    for place, words in stated(config.model_dump(mode="json", exclude_unset=True)):
        study.add_row(plain(place), plain(words))
    console.print(study)
    console.print("Everything else is as by default: --full shows it.")


def stated(study: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a study says, a line for each of its tables: where, and `key value` for each key."""
    tables = {key: value for key, value in study.items() if isinstance(value, dict)}
    rows = {key: value for key, value in study.items() if _is_rows(value)}
    yield "study", _words({key: value for key, value in study.items() if key not in {**tables, **rows}})
    for key, value in rows.items():
        yield from ((f"{key}.{index}", _words(each)) for index, each in enumerate(value))
    yield from ((key, _words(value)) for key, value in tables.items())


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _words(table: Mapping[str, Any]) -> str:
    return " · ".join(f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in table.items())
