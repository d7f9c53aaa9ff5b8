"""`procmem run`."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from analysis.results import Findings
    from testbed.config.study import StudyConfig
    from testbed.records.trial import Episode


def run(
    study: Annotated[Path, typer.Argument(help="The study file (TOML).")],
    out: Annotated[Path, typer.Option(help="Folder that holds the run directories.")] = Path("runs"),
    set: Annotated[list[str] | None, typer.Option(help="Change one value: key=value, dotted, TOML.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the whole study and its cost.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run a study, or finish one that was interrupted: the same command resumes.

    Examples: `procmem run examples/quickstart.toml` · `procmem run study.toml --set learning.iterations=2 --dry-run`
    """
    from testbed.config.study import load_study

    config = load_study(study, set or [])
    if dry_run:
        _print_forecast(config, as_json)
        return
    try:
        _run(config, out, as_json)
    except KeyboardInterrupt:
        typer.echo("Stopped. Finished episodes are stored; the same command resumes.", err=True)
        raise typer.Exit(130) from None


def _run(config: StudyConfig, out: Path, as_json: bool) -> None:
    from testbed.studies.cost import count_episodes
    from testbed.studies.run import run_study

    learning, evaluation = count_episodes(config)
    with EpisodeProgress(Console(stderr=True), learning + evaluation) as progress:
        path = anyio.run(run_study, config, out, progress).path
    findings = _report(path) if evaluation else None
    if as_json:
        typer.echo(json.dumps({"run": str(path), "failed": progress.failed, "episodes": progress.done}))
    elif findings is None:
        typer.echo(f"Learned. The pools lie in {path / 'pools'}; `procmem show {path}` lists the episodes.")
    else:
        from testbed.cli.report import print_findings

        print_findings(findings, path)


def _report(path: Path) -> Findings:
    from testbed.reports.write import write_report

    with Console(stderr=True).status("analysing"):
        return write_report(path)


class EpisodeProgress:
    """A bar over the whole study, with the time left and the last returns."""

    def __init__(self, console: Console, episodes: int) -> None:
        self.done = 0
        self.failed = 0
        self._latest: deque[float] = deque(maxlen=50)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=episodes)

    def __enter__(self) -> EpisodeProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, episode: Episode) -> None:
        self.done += 1
        if episode.error is None:
            self._latest.append(episode.trajectory.total)
        else:
            self.failed += 1
        mean = f" · mean return {sum(self._latest) / len(self._latest):.2f}" if self._latest else ""
        failures = f" · {self.failed} failed" if self.failed else ""
        self._bar.update(self._task, advance=1, description=f"{episode.trial.phase:8}{mean}{failures}")


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
