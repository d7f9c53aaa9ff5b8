"""`procmem plan`: how much data a question needs, and what they cost, before the data are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from testbed.cli.study_file import Plugins, read_study
from testbed.cli.terminal import notices, output, plain, say_json

if TYPE_CHECKING:
    from analysis.matrix.contrasts import Contrast
    from analysis.simulation.power import Design, Variance
    from testbed.config.study import StudyConfig


def plan(
    study: Annotated[Path, typer.Argument(help="The study file (TOML).")],
    detect: Annotated[float, typer.Option(help="The smallest difference in return that matters.")],
    pilot: Annotated[Path | None, typer.Option(help="A run to take the variance from, instead of --sd, --icc.")] = None,
    contrast: Annotated[str, typer.Option(help="The arms to compare: treatment-reference; self-none.")] = "",
    sd: Annotated[float, typer.Option(help="SD of an episode's paired difference between two arms.")] = 0.3,
    icc: Annotated[float, typer.Option(help="Share of that variance that lies between learning runs.")] = 0.2,
    speed: Annotated[float, typer.Option(min=0.01, help="Decision steps a second, as `procmem bench` measures.")] = 5.0,
    plugins: Plugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many learning runs and episodes a difference needs, and their cost in tokens and hours.

    Simulated is the study's own report: its cells, clusters and families, and every declared contrast as written.
    Examples: `procmem plan study.toml --detect 0.05 --sd 0.25` · `procmem plan study.toml --detect 0.05 --pilot runs/x`
    """
    import numpy as np

    from analysis.simulation.plan import caution, floors
    from analysis.simulation.plan import plan as find_plan
    from analysis.simulation.power import Variance, powers
    from analysis.statistics.bootstrap import Resampler
    from testbed.studies.cost import forecast

    config = read_study(study, plugins=plugins)
    by = Resampler(np.random.default_rng(config.seed), 1999)
    design = _design(config)
    asked = _asked(design, contrast)
    variance = Variance.stated(sd, icc) if pilot is None else _measured(pilot, asked)
    size = (config.learning_runs, config.evaluation_episodes)
    with notices().status("simulating"):
        found = find_plan(detect, variance, design, asked, by)
        written = powers(detect, variance, size, design, by)
        warning = caution(detect, size, written[asked.key])
        limits = floors(detect, variance, size, design, list(written.values()))
    rows: list[dict[str, float]] = []
    for option in found.options:
        changed = config.model_copy(update={"learning_runs": option.runs, "evaluation_episodes": option.episodes})
        cost = forecast(changed)
        tokens = cost.prompt_tokens + cost.completion_tokens
        named = {name: getattr(option, name) for name in ("runs", "episodes", "power", "low", "high")}
        rows.append({**named, "tokens": tokens, "hours": cost.steps / speed / 3600})
    contrasts = [
        {"contrast": key, "power": each.power, "clusters": each.clusters, "freedom": each.freedom}
        for key, each in written.items()
    ]
    if as_json:
        settings = {"detect": detect, "between": variance.between, "within": variance.within, "speed": speed}
        answers = {"options": rows, "warning": warning, "contrast": asked.key, "contrasts": contrasts, "floors": limits}
        say_json({**settings, **answers})
        return
    console = output()
    table = Table("learning runs", "episodes per cell and run", "power", "tokens", "hours")
    for row in rows:
        counts = (f"{row['runs']:g}", f"{row['episodes']:g}", f"{row['power']:.2f}")
        table.add_row(*counts, f"{row['tokens']:,.0f}", f"{row['hours']:.1f}")
    console.print(table)
    console.print(plain(found.sentence))
    console.print(f"Tokens and hours are estimates from scripted games, at {speed:g} steps a second.")
    table = Table("contrast", "clusters", "degrees of freedom", f"power at {size[0]} × {size[1]}, as written")
    for each in written.values():
        counts = (str(each.clusters), f"{each.freedom:.1f}", f"{each.power:.2f}")
        table.add_row(plain(each.contrast.name), *counts)
    console.print(table)
    for sentence in filter(None, [warning, *limits]):
        console.print(plain(f"Warning: {sentence}", style="yellow"))


def _design(config: StudyConfig) -> Design:
    from analysis.matrix.contrasts import declare
    from analysis.population.results import contrasts
    from analysis.simulation.power import Design
    from environments.registry import ENVIRONMENTS
    from testbed.reports.population_tables import policy_table

    tasks = tuple(task.environment for task in config.tasks)
    known = [ENVIRONMENTS[task].reward_range for task in tasks if task in ENVIRONMENTS]
    room = sum((high - low) / 2 for low, high in known) / len(known) if known else float("nan")
    if config.study != "population":
        agents = tuple(agent.name for agent in config.agents)
        # a lone learner has nobody to take a pool from: the study has no transfer
        arms = [arm for arm in config.arms if arm != "transfer" or len(agents) * len(tasks) > 1]
        return Design(agents, tasks, declare(arms), room=room)
    return Design(tuple(config.members), tasks, contrasts(policy_table(config)), room=room)


def _asked(design: Design, key: str) -> Contrast:
    from analysis.simulation.power import PlanError

    if key and "-" not in key:
        raise PlanError(f"--contrast {key}: name two arms of the study, as in self-none")
    # declared first is self-none; a population's first policy where there is none
    found = next((each for each in design.contrasts if each.key == key or not key), None)
    if found is None:
        there = ", ".join(each.key for each in design.contrasts)
        raise PlanError(f"--contrast {key}: the study declares no such contrast; there are: {there or 'none'}")
    return found


def _measured(pilot: Path, contrast: Contrast) -> Variance:
    from analysis.simulation.power import pilot_variance
    from analysis.tables.units import seed_means
    from testbed.reports.tables import load_run

    return pilot_variance(seed_means(load_run(pilot).episodes), *contrast.arms)
