"""`procmem plan`: how much data a question needs, before the data are there."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from testbed.config import load_study


def plan(
    study: Annotated[Path, typer.Argument(help="The study file (TOML).")],
    detect: Annotated[float, typer.Option(help="The smallest difference in return that matters.")],
    sd: Annotated[float, typer.Option(help="SD of an episode's paired difference between two arms.")] = 0.3,
    icc: Annotated[float, typer.Option(help="Share of that variance that lies between learning runs.")] = 0.2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many learning runs and episodes a difference needs.

    Example: `procmem plan study.toml --detect 0.05 --sd 0.25 --icc 0.1`
    """
    import numpy as np

    from analysis.bootstrap import Resampler
    from analysis.power import Variance, caution
    from analysis.power import plan as find_plan

    config = load_study(study)
    variance = Variance.stated(sd, icc)
    by = Resampler(np.random.default_rng(config.seed), 1999)
    tasks = len(config.tasks)
    found = find_plan(detect, variance, by, tasks=tasks)
    warning = caution(detect, variance, config.learning_runs, config.evaluation_episodes, by, tasks=tasks)
    if as_json:
        options = [asdict(option) for option in found.options]
        typer.echo(json.dumps({"detect": detect, "sd": sd, "icc": icc, "options": options, "warning": warning}))
        return
    console = Console()
    table = Table("learning runs per task", "episodes per cell and run", "power")
    for option in found.options:
        table.add_row(str(option.runs), str(option.episodes), f"{option.power:.2f}")
    console.print(table)
    console.print(Text(found.sentence))
    if warning is not None:
        console.print(Text(f"Warning: {warning}", style="yellow"))
