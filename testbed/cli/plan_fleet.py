"""`procmem plan --fleet`: how long a study takes on which GPUs, and what fits there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Column, Table

from testbed.cli.terminal import notices, output, plain, say_json

if TYPE_CHECKING:
    from testbed.config.study import StudyConfig
    from testbed.studies.cost.fleet_file import FleetFile
    from testbed.studies.cost.hours import Prediction


def plan_on_fleet(config: StudyConfig, file: Path, pilot: Path | None, *, as_json: bool) -> None:
    """Raises ConfigError, where a model fits nowhere at once; StoreError for a pilot that is none."""
    from testbed.studies.cost.fleet_file import load_fleet
    from testbed.studies.cost.games import habits, held
    from testbed.studies.cost.hours import predict
    from testbed.view.planned import planned_cells

    fleet = load_fleet(file)
    with notices().status("simulating"):
        evaluation: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        for cell, episodes in planned_cells(config).items():
            if cell.phase != "learn":
                evaluation[cell.agent, cell.task, held(cell.arm, cell.memory)] += episodes
        found = predict(config, fleet, evaluation, None if pilot is None else habits(pilot))
    if as_json:
        say_json({"hours": (found.loading + found.seconds) / 3600, **asdict(found), "assumed": fleet.assumed})
        return
    _print(found, fleet)


def _print(found: Prediction, fleet: FleetFile) -> None:
    console = output()
    table = Table("", "", show_header=False)
    table.add_row("hours", f"{(found.loading + found.seconds) / 3600:,.2f}")
    table.add_row("of them loading models, learning", f"{_clock(found.loading)}, {_clock(found.learning)}")
    table.add_row("calls", f"{found.calls:,.0f}")
    if found.changes:
        table.add_row("turns", f"{found.changes:,}")
    if fleet.driver is not None:
        table.add_row("driver at work", f"{found.driver:.0%}")
    console.print(table)
    table = Table(
        Column("model", overflow="fold"), "copies", "prompt tokens", "written", "scored", "largest batch", "speeds"
    )
    for model, tokens in found.tokens.items():
        copies = sum(model in site.models for site in found.sites)
        counts = (f"{number:,.0f}" for number in (tokens.prompt, tokens.written, tokens.scored))
        speeds = "assumed" if model in fleet.assumed else "measured"
        table.add_row(plain(model), str(copies), *counts, str(found.most.get(model, 0)), speeds)
    console.print(table)
    table = Table("GPUs", "models", "GiB of each", "busy")
    sums: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    gpus: defaultdict[tuple[str, str], int] = defaultdict(int)
    for site, busy in zip(found.sites, found.busy, strict=True):
        models = ", ".join(site.models) + (" in turns" if site.takes_turns else "")
        used = max(fleet.speed(name).need for name in site.models) if site.takes_turns else site.used
        key = models, f"{used:.1f} of {site.memory:g}"
        sums[key].append(busy)
        gpus[key] += len(site.gpus)
    for (models, memory), shares in sums.items():
        table.add_row(str(gpus[models, memory]), plain(models), memory, f"{sum(shares) / len(shares):.0%}")
    console.print(table)
    console.print("Prompt tokens are those that no cache held. GiB: weights and the least cache.")
    for sentence in found.unknown:
        console.print(plain(f"Not known: {sentence}.", style="yellow"))
    if fleet.assumed:
        console.print(plain(f"Assumed, not measured: the speeds of {', '.join(fleet.assumed)}.", style="yellow"))


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
