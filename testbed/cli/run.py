"""`procmem run`."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from testbed.cli.study_file import Plugins, read_study
from testbed.cli.terminal import Terminal, notices, say, say_json, tell

if TYPE_CHECKING:
    from analysis.results import Findings
    from testbed.config.study import StudyConfig
    from testbed.records.trial import Episode


def run(
    study: Annotated[Path, typer.Argument(help="The study file (TOML).")],
    out: Annotated[Path, typer.Option(help="Folder that holds the run directories.")] = Path("runs"),
    set: Annotated[list[str] | None, typer.Option(help="Change one value: key=value, dotted, TOML.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it costs and what it is; play nothing.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="With --dry-run: every default as well.")] = False,
    plugins: Plugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run a study, or finish one that was interrupted: the same command resumes.

    Examples: `procmem run examples/quickstart.toml` · `procmem run study.toml --set learning.iterations=2 --dry-run`
    """
    config = read_study(study, set or [], plugins=plugins)
    if dry_run:
        from testbed.cli.dry_run import print_forecast

        print_forecast(config, full=full, as_json=as_json)
        return
    try:
        _run(config, out, as_json)
    except KeyboardInterrupt:
        tell("Stopped. Finished episodes are stored; the same command resumes.")
        raise typer.Exit(130) from None


def _run(config: StudyConfig, out: Path, as_json: bool) -> None:
    from testbed.studies.cost import count_episodes
    from testbed.studies.run import run_study

    learning, evaluation = count_episodes(config)
    with EpisodeProgress(notices(), learning + evaluation) as progress:
        path = anyio.run(run_study, config, out, progress).path
    findings = _report(path) if evaluation else None
    if as_json:
        say_json({"run": str(path), "failed": progress.failed, "episodes": progress.done})
    elif findings is None:
        say(f"Learned. The pools lie in {path / 'pools'}; `procmem show {path}` lists the episodes.")
    else:
        from testbed.cli.report import print_findings

        print_findings(findings, path / "report")


def _report(path: Path) -> Findings:
    from testbed.reports.write import write_report

    with notices().status("analysing"):
        return write_report(path, path / "report")


class EpisodeProgress:
    """A bar over the whole study, with the time left and the last returns."""

    def __init__(self, console: Terminal, episodes: int) -> None:
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
