"""`procmem plan`: how much data a question needs, what they cost, and how long they take on which GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from testbed.cli.study_file import Plugins, read_study
from testbed.cli.terminal import notices, output, plain, say_json

if TYPE_CHECKING:
    from analysis.matrix.contrasts import Contrast
    from analysis.simulation.power import Design, Power, Variance
    from testbed.config.study import StudyConfig


def plan(
    study: Annotated[Path, typer.Argument(help="The study file (TOML).")],
    detect: Annotated[float | None, typer.Option(help="The smallest difference in return that matters.")] = None,
    fleet: Annotated[Path | None, typer.Option(help="GPUs and speeds (TOML): how long the study takes there.")] = None,
    pilot: Annotated[
        Path | None, typer.Option(help="A run to take the variance from; with --fleet, lengths of games and prompts.")
    ] = None,
    contrast: Annotated[str, typer.Option(help="The arms to compare: treatment-reference; self-none.")] = "",
    sd: Annotated[float, typer.Option(help="SD of an episode's paired difference between two arms.")] = 0.3,
    icc: Annotated[float, typer.Option(help="Share of that variance that lies between learning runs.")] = 0.2,
    speed: Annotated[float, typer.Option(min=0.01, help="Decision steps a second, as `procmem bench` measures.")] = 5.0,
    plugins: Plugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many learning runs and episodes a difference needs, and their cost in tokens and hours.

    Simulated is the study's own report: its cells, clusters and families, and every declared contrast as written. Of an
    adaptive study: how many learning runs a claim takes that differs by nothing, half of it, all of it, or twice that.

    With --fleet instead: hours, tokens and GPU memory of the study as it is written, by a simulation of its episodes,
    batches, turns and learners. `procmem bench fleet RUN` measures the speeds.

    Examples: `procmem plan study.toml --detect 0.05 --sd 0.25` · `procmem plan study.toml --detect 0.05 --pilot runs/x`
    · `procmem plan study.toml --fleet fleet.toml --pilot runs/x`
    """
    import numpy as np

    from analysis.simulation.plan import caution, floors
    from analysis.simulation.plan import plan as find_plan
    from analysis.simulation.power import Variance, powers
    from analysis.statistics.bootstrap import Resampler

    if detect is not None and fleet is not None:
        raise typer.BadParameter("name --detect or --fleet: two plans")
    config = read_study(study, plugins=plugins)
    if fleet is not None:
        from testbed.cli.plan_fleet import plan_on_fleet

        plan_on_fleet(config, fleet, pilot, as_json=as_json)
        return
    if detect is None:
        raise typer.BadParameter("name what is to be detected (--detect), or on what it is to run (--fleet)")
    if config.adaptive is not None:
        _plan_adaptive(config, detect, sd, icc, pilot, as_json=as_json)
        return
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
    rows = _costed(config, found.options, speed)
    contrasts = [
        {"contrast": key, "power": each.power, "clusters": each.clusters, "freedom": each.freedom}
        for key, each in written.items()
    ]
    if as_json:
        settings = {"detect": detect, "between": variance.between, "within": variance.within, "speed": speed}
        answers = {"options": rows, "warning": warning, "contrast": asked.key, "contrasts": contrasts, "floors": limits}
        say_json({**settings, **answers})
        return
    _print_options(rows, found.sentence, speed)
    _print_powers(written, size, [warning, *limits])


def _costed(config: StudyConfig, options: Sequence[Power], speed: float) -> list[dict[str, float]]:
    """Every size with what it costs in tokens, and in hours at `speed` steps a second."""
    from testbed.studies.cost.forecast import forecast

    rows: list[dict[str, float]] = []
    for option in options:
        changed = config.model_copy(update={"learning_runs": option.runs, "evaluation_episodes": option.episodes})
        cost = forecast(changed)
        tokens = cost.prompt_tokens + cost.completion_tokens
        named = {name: getattr(option, name) for name in ("runs", "episodes", "power", "low", "high")}
        rows.append({**named, "tokens": tokens, "hours": cost.steps / speed / 3600})
    return rows


def _print_options(rows: Sequence[Mapping[str, float]], sentence: str, speed: float) -> None:
    console = output()
    table = Table("learning runs", "episodes per cell and run", "power", "tokens", "hours")
    for row in rows:
        counts = (f"{row['runs']:g}", f"{row['episodes']:g}", f"{row['power']:.2f}")
        table.add_row(*counts, f"{row['tokens']:,.0f}", f"{row['hours']:.1f}")
    console.print(table)
    console.print(plain(sentence))
    console.print(f"Tokens and hours are estimates from scripted games, at {speed:g} steps a second.")


def _print_powers(written: Mapping[str, Power], size: tuple[int, int], warnings: Sequence[str | None]) -> None:
    console = output()
    table = Table("contrast", "clusters", "degrees of freedom", f"power at {size[0]} × {size[1]}, as written")
    for each in written.values():
        counts = (str(each.clusters), f"{each.freedom:.1f}", f"{each.power:.2f}")
        table.add_row(plain(each.contrast.name), *counts)
    console.print(table)
    for warning in filter(None, warnings):
        console.print(plain(f"Warning: {warning}", style="yellow"))


def _plan_adaptive(
    config: StudyConfig, detect: float, sd: float, icc: float, pilot: Path | None, *, as_json: bool
) -> None:
    import numpy as np

    from analysis.simulation.adaptive.expected import Budget, expected
    from analysis.simulation.power import Variance
    from testbed.reports.plan import adaptive_plan
    from testbed.studies.cost.forecast import forecast

    assert config.adaptive is not None
    adaptive = adaptive_plan(config, [task.environment for task in config.tasks])
    assert adaptive is not None
    design = _design(config)
    variance = Variance.stated(sd, icc) if pilot is None else _measured(pilot, _asked(design, ""))
    cells = len(config.agents) * len(config.tasks)
    spread = variance.of_run(config.evaluation_episodes) / np.sqrt(cells)
    budget = Budget(config.learning_runs, config.adaptive.look, config.adaptive.futility)
    rng, family = np.random.default_rng(config.seed), len(adaptive.claims)
    rows: list[dict[str, float]] = []
    with notices().status("simulating"):
        for effect in (0.0, detect / 2, detect, 2 * detect):
            found = expected(effect, spread, budget, adaptive.rule, family, rng)
            runs = max(1, round(found.runs))
            cost = forecast(config.model_copy(update={"learning_runs": runs}))
            rows.append({**vars(found), "tokens": cost.prompt_tokens + cost.completion_tokens})
    if as_json:
        say_json({"detect": detect, "claims": family, "spread": spread, "most": config.learning_runs, "effects": rows})
        return
    table = Table("effect", "learning runs", "decided", "equivalent", "given up", "tokens, at most")
    for row in rows:
        shares = (f"{row[name]:.2f}" for name in ("decided", "equivalent", "futile"))
        table.add_row(f"{row['effect']:g}", f"{row['runs']:.1f}", *shares, f"{row['tokens']:,.0f}")
    console = output()
    console.print(table)
    console.print(
        f"A claim of learned pools among {family}, up to {config.learning_runs} learning runs whose differences have "
        f"an SD of {spread:.3f}. Tokens: if every claim took as long; pools not met may delay “worse” and “equivalent”."
    )


def _design(config: StudyConfig) -> Design:
    from analysis.matrix.contrasts import declare
    from analysis.population.results import contrasts
    from analysis.simulation.power import Design
    from environments.registry import ENVIRONMENTS
    from testbed.reports.rows.population import policy_table

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
