"""`procmem plan`: how much data a question needs, and what they cost, before the data are there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from testbed.cli.study_file import Plugins, read_study
from testbed.cli.terminal import notices, output, plain, say_json

if TYPE_CHECKING:
    from analysis.simulation.power import Variance


def plan(
    study: Annotated[Path, typer.Argument(help="The study file (TOML).")],
    detect: Annotated[float, typer.Option(help="The smallest difference in return that matters.")],
    pilot: Annotated[Path | None, typer.Option(help="A run to take the variance from, instead of --sd, --icc.")] = None,
    contrast: Annotated[str, typer.Option(help="The pilot's arms to compare: treatment-reference.")] = "self-none",
    sd: Annotated[float, typer.Option(help="SD of an episode's paired difference between two arms.")] = 0.3,
    icc: Annotated[float, typer.Option(help="Share of that variance that lies between learning runs.")] = 0.2,
    speed: Annotated[float, typer.Option(min=0.01, help="Decision steps a second, as `procmem bench` measures.")] = 5.0,
    plugins: Plugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many learning runs and episodes a difference needs, and their cost in tokens and hours.

    Examples: `procmem plan study.toml --detect 0.05 --sd 0.25` · `procmem plan study.toml --detect 0.05 --pilot runs/x`
    """
    import numpy as np

    from analysis.simulation.power import Variance, caution
    from analysis.simulation.power import plan as find_plan
    from analysis.statistics.bootstrap import Resampler
    from testbed.studies.cost import forecast

    config = read_study(study, plugins=plugins)
    variance = Variance.stated(sd, icc) if pilot is None else _measured(pilot, contrast)
    by = Resampler(np.random.default_rng(config.seed), 1999)
    tasks = len(config.tasks)
    with notices().status("simulating"):
        found = find_plan(detect, variance, by, tasks=tasks)
        warning = caution(detect, variance, config.learning_runs, config.evaluation_episodes, by, tasks=tasks)
    rows: list[dict[str, float]] = []
    for option in found.options:
        changed = config.model_copy(update={"learning_runs": option.runs, "evaluation_episodes": option.episodes})
        cost = forecast(changed)
        tokens = cost.prompt_tokens + cost.completion_tokens
        rows.append({**asdict(option), "tokens": tokens, "hours": cost.steps / speed / 3600})
    if as_json:
        told = {"detect": detect, "between": variance.between, "within": variance.within, "speed": speed}
        say_json({**told, "options": rows, "warning": warning})
        return
    console = output()
    table = Table("learning runs per task", "episodes per cell and run", "power", "tokens", "hours")
    for row in rows:
        counts = (f"{row['runs']:g}", f"{row['episodes']:g}", f"{row['power']:.2f}")
        table.add_row(*counts, f"{row['tokens']:,.0f}", f"{row['hours']:.1f}")
    console.print(table)
    console.print(plain(found.sentence))
    console.print(f"Tokens and hours are estimates from scripted games, at {speed:g} steps a second.")
    if warning is not None:
        console.print(plain(f"Warning: {warning}", style="yellow"))


def _measured(pilot: Path, contrast: str) -> Variance:
    from analysis.simulation.power import PlanError, pilot_variance
    from analysis.tables.units import seed_means
    from testbed.reports.tables import load_run

    treatment, _, reference = contrast.partition("-")
    if not reference:
        raise PlanError(f"--contrast {contrast}: name two arms of the pilot, as in self-none")
    return pilot_variance(seed_means(load_run(pilot).episodes), treatment, reference)
