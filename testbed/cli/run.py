"""`procmem run`."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from testbed.cli.interruption import RESUME, Interruption
from testbed.cli.progress import EpisodeProgress

if TYPE_CHECKING:
    from analysis.results import Findings
    from testbed.config.study import StudyConfig
    from testbed.studies.shortfall import Shortfall

INCOMPLETE = 3
"""Exit code of a run that has come to its end and lacks something."""

STOPPED = "Stopped. Finished episodes are stored; the same command resumes."


def run(
    study: Annotated[Path, typer.Argument(help="The study file (TOML).")],
    out: Annotated[Path, typer.Option(help="Folder that holds the run directories.")] = Path("runs"),
    set: Annotated[list[str] | None, typer.Option(help="Change one value: key=value, dotted, TOML.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the whole study and its cost.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run a study, or finish one that was interrupted: the same command resumes.

    Exit codes: 0 all there · 1 an error to mend · 3 at its end, but episodes are missing · 75 (SIGTERM, a model that
    does not answer) and 130 (Ctrl-C): the same command goes on.

    Examples: `procmem run examples/quickstart.toml` · `procmem run study.toml --set learning.iterations=2 --dry-run`
    """
    from testbed.config.study import load_study

    config = load_study(study, set or [])
    if dry_run:
        _print_forecast(config, as_json)
        return
    from agents.models.model import ModelUnavailable
    from testbed.play.failures import ModelGone

    with Interruption(STOPPED) as interruption:
        try:
            shortfall = _run(config, out, as_json, interruption)
        except KeyboardInterrupt:
            typer.echo(STOPPED, err=True)
            raise typer.Exit(interruption.code) from None
        except (ModelGone, ModelUnavailable) as error:
            typer.echo(f"Stopped: {error}", err=True)
            raise typer.Exit(RESUME) from None
    if shortfall:
        typer.echo(f"Incomplete: {shortfall.sentence}", err=True)
        raise typer.Exit(INCOMPLETE)


def _run(config: StudyConfig, out: Path, as_json: bool, interruption: Interruption) -> Shortfall:
    from testbed.studies.cost import count_episodes
    from testbed.studies.run import run_study

    learning, evaluation = count_episodes(config)
    steps = learning // config.learning.episodes
    with EpisodeProgress(Console(stderr=True), learning, evaluation, steps) as progress:
        run, shortfall = interruption.run(partial(run_study, config, out, progress))
    findings = _report(run.path) if evaluation else None
    if as_json:
        missing = shortfall.sentence if shortfall else None
        counts = {"run": str(run.path), "failed": progress.failed, "episodes": progress.finished, "missing": missing}
        typer.echo(json.dumps(counts))
    elif findings is None:
        done = "Learned." if shortfall.finished or not shortfall.planned else "Nothing was learned."
        typer.echo(f"{done} The pools lie in {run.path / 'pools'}; `procmem show {run.path}` lists the episodes.")
    else:
        from testbed.cli.report import print_findings

        print_findings(findings, run.path)
    return shortfall


def _report(path: Path) -> Findings:
    from testbed.reports.write import write_report

    with Console(stderr=True).status("analysing"):
        return write_report(path)


def _print_forecast(config: StudyConfig, as_json: bool) -> None:
    from testbed.studies.cost import forecast

    cost = forecast(config)
    resolved = config.model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps({"config": resolved, "digest": config.digest, "forecast": asdict(cost)}))
        return
    console = Console()
    console.print_json(json.dumps(resolved))
    table = Table("", "", title=f"{config.study}-{config.digest}", show_header=False)
    for name, value in (("episodes", cost.episodes), *asdict(cost).items()):
        table.add_row(name.replace("_", " "), f"{value:,}")
    console.print(table)
    console.print("Steps, calls and tokens are estimates from scripted games; the learner's own calls come on top.")
