"""`procmem ceiling`: what a right skill is worth in the hands of models of several sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from testbed.cli.run import carry_out_each
from testbed.cli.study_file import Plugins, read_study
from testbed.cli.terminal import output, plain, say, say_json


def ceiling(
    study: Annotated[Path, typer.Argument(help="The study file (TOML): models of several sizes, right skills.")],
    out: Annotated[Path, typer.Option(help="Folder that holds the run directories.")] = Path("runs"),
    set: Annotated[list[str] | None, typer.Option(help="Change one value: key=value, dotted, TOML.")] = None,
    plugins: Plugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
) -> None:
    """Does a larger model make more of a right skill, and how much of that does it learn by itself?

    The study is run once for each of its agents, so that one model is in memory at a time; each is a run directory of
    its own, and the same command resumes. A task's right skill is the given pool of its name.

    Examples: `procmem ceiling examples/model_size.toml` · `procmem ceiling examples/model_size.toml --set
    'arms=["none"]'` (the ceiling alone, without learning)
    """
    from testbed.bench.experiments.model_size import Played, gains, parameters, returns, variants
    from testbed.bench.experiments.pages.model_size import KINDS, size, write_model_size
    from testbed.records.run_directory import RunDirectory
    from testbed.reports.place import replacing
    from testbed.reports.tables import read_run
    from testbed.reports.write import run_cost

    config = read_study(study, set or [], plugins=plugins)
    alone = variants(config)
    found = carry_out_each(alone, out, lambda name: f"Agent: {name}")
    played: dict[str, Played] = {}
    for name, variant in alone.items():
        tables = read_run(RunDirectory.open(found[name]))
        given = {pool: each.episodes for pool, each in tables.given.items()}
        played[name] = Played(parameters(variant.agents[0]), tables.run.episodes, given)
    tasks = tuple(task.environment for task in config.tasks)
    means, differences = returns(played, tasks), gains(played, tasks)
    costs = [run_cost(path, RunDirectory.open(path).config()) for path in found.values()]
    page = out / f"ceiling-{config.digest}"
    with replacing(page) as stage:
        write_model_size(means, differences, costs, f"Ceiling by model size: {', '.join(tasks)}", stage)
    if as_json:
        runs = {name: str(path) for name, path in found.items()}
        say_json({"returns": means.to_dict("records"), "gains": differences.to_dict("records"), "runs": runs})
        return
    shown = Table()
    for head in ("task", "agent", "size", "difference", "in return", "n"):
        shown.add_column(head)
    for row in differences.to_dict("records"):
        ends = f"{row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
        words = (row["task"], row["agent"], size(row["parameters"]), KINDS[row["kind"]], ends, row["n"])
        shown.add_row(*map(plain, words))
    output().print(shown)
    say("Intervals hold together at 95 %. Models of several sizes also differ in family, data and training.")
    say(f"Report: {page / 'report.html'}")
