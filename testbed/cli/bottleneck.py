"""`procmem bottleneck`: a study with an oracle in place of each of its parts in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from testbed.cli.run import carry_out_each
from testbed.cli.study_file import Plugins, read_study
from testbed.cli.terminal import output, plain, say, say_json


def bottleneck(
    study: Annotated[Path, typer.Argument(help="The study file (TOML): one agent, one game of the control family.")],
    out: Annotated[Path, typer.Option(help="Folder that holds the run directories.")] = Path("runs"),
    set: Annotated[list[str] | None, typer.Option(help="Change one value: key=value, dotted, TOML.")] = None,
    plugins: Plugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Where would a better part pay most: gradient, candidate, gate, selector, or an actor that obeys?

    The study is run as it is and once with an oracle in place of each part; each run is a run directory of its own, and
    the same command resumes. Gains are paired by learning run on common environment seeds.

    Examples: `procmem bottleneck examples/bottleneck.toml` · `procmem bottleneck study.toml --set learning_runs=6`
    """
    from testbed.bench.experiments.bottleneck import PARTS, baselines, sentence, variants, with_bounds
    from testbed.bench.experiments.bottleneck import bottleneck as compare
    from testbed.bench.experiments.pages.bottleneck import write_bottleneck
    from testbed.records.run_directory import RunDirectory
    from testbed.reports.place import replacing
    from testbed.reports.tables import load_run
    from testbed.reports.write import run_cost

    config = read_study(study, set or [], plugins=plugins)
    found = carry_out_each(
        variants(config), out, lambda name: f"Oracle: {name}" if name in PARTS else "The study as it is"
    )
    episodes = {name: load_run(path).episodes for name, path in found.items()}
    table, known = compare(episodes, config.tasks[0].environment), baselines(next(iter(episodes.values())))
    costs = [run_cost(path, RunDirectory.open(path).config()) for path in found.values()]
    page = out / f"bottleneck-{config.digest}"
    with replacing(page) as stage:
        write_bottleneck(table, known, costs, f"Bottleneck: {config.tasks[0].environment}", stage)
    if as_json:
        runs = {name: str(path) for name, path in found.items()}
        say_json({"as it is": known, "parts": table.to_dict("records"), "runs": runs})
        return
    shown = Table()
    for head in ("oracle in place of", "return", "gain over the study as it is", "learning runs", ""):
        shown.add_column(head)
    for row in table.to_dict("records"):
        words = (
            row["part"],
            f"{row['own']:.3f}",
            with_bounds(row["gain"], row["low"], row["high"]),
            row["runs"],
            PARTS[row["part"]],
        )
        shown.add_row(*map(plain, words))
    output().print(shown)
    say(f"As it is: {known['self']:.3f} with its own pool, {known['seed']:.3f} seed pool, {known['none']:.3f} without.")
    say(f"{sentence(table)} Intervals hold together at 95 %.")
    say(f"Report: {page / 'report.html'}")
