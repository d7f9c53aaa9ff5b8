"""`procmem report` and `procmem show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from analysis.results import Findings
    from testbed.store import RunDirectory
    from testbed.trial import Episode

STYLES = {"observation": "cyan", "action": "bold green", "reward": "yellow", "error": "bold red", "end": "bold"}


def report(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap and permutation resamples.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Analyse a run: the matrix here, everything else in RUN/report/report.html.

    Example: `procmem report runs/matrix-1a2b3c4d`
    """
    from analysis.report import report as write_report
    from testbed.frames import load_run
    from testbed.store import RunDirectory

    tables = load_run(run)
    with Console(stderr=True).status("analysing"):
        findings = write_report(tables, run / "report", resamples=resamples, seed=RunDirectory.open(run).config().seed)
    if as_json:
        typer.echo(json.dumps({"run": str(run), "findings": findings.rows(), "warnings": list(findings.warnings)}))
        return
    print_findings(findings, run)


def print_findings(findings: Findings, run: Path) -> None:
    """The matrix of returns and of reuse, the summary, the warnings, and where the report lies."""
    from analysis.matrix import text_matrix

    console = Console()
    for title, cells, measure in (
        ("Return, mean [95 % CI]", findings.cells, "return"),
        ("Reuse: share of stored skills used at least once [95 % CI]", findings.reuse, "coverage"),
    ):
        if cells.empty:
            continue
        matrix = text_matrix(cells, measure)
        table = Table(title=title, show_lines=True)
        for name in matrix.header:
            table.add_column(Text(name), overflow="fold")
        for row in matrix.rows:
            table.add_row(*(Text(text) for text in row))
        console.print(table)
    for sentence in findings.summary:
        console.print(Text(sentence))
    for warning in findings.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"))
    console.print(f"Report: [bold]{escape(str(run / 'report' / 'report.html'))}[/]")


def show(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    episode: Annotated[str | None, typer.Argument(help="Trial id, or the start of one; none lists them all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the stored record.")] = False,
) -> None:
    """Read an episode as a person would: observation, skill, action, reward.

    Examples: `procmem show runs/matrix-1a2b3c4d` · `procmem show runs/matrix-1a2b3c4d 3f9a`
    """
    from testbed.journal import StoreError
    from testbed.store import RunDirectory

    directory = RunDirectory.open(run)
    if episode is None:
        _print_list(directory, as_json)
        return
    found = [each for each in directory.episodes() if each.trial.id.startswith(episode)]
    if len(found) != 1:
        problem = "no episode" if not found else f"{len(found)} episodes"
        raise StoreError(f"{run}: {problem} with an id that starts with {episode!r}; `procmem show {run}` lists them")
    if as_json:
        typer.echo(found[0].model_dump_json())
        return
    _print_transcript(found[0], directory)


def _print_list(directory: RunDirectory, as_json: bool) -> None:
    rows = [
        {
            "id": episode.trial.id,
            **episode.trial.model_dump(include={"phase", "arm", "agent", "task", "learning_run", "episode"}),
            "return": None if episode.error is not None else episode.trajectory.total,
        }
        for episode in directory.episodes()
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table()
    for name in rows[0] if rows else ():
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text(f"{value:.3f}" if isinstance(value, float) else str(value)) for value in row.values()))
    Console().print(table)


def _print_transcript(episode: Episode, directory: RunDirectory) -> None:
    from testbed.frames import transcript

    console = Console()
    shown = transcript(episode)
    names = {}
    if episode.trial.pool is not None:
        names = {skill.id: skill.name for skill in directory.pool(episode.trial.pool).each()}
    console.rule(Text(shown.title))
    for who, what in shown.lines:
        if who == "rules":
            console.print(Panel(Text(what), title="rules", title_align="left", style="dim"))
            continue
        text = names.get(what, what) if who.startswith("skill") else what
        console.print(Text(f"{who:>13}  ", style="dim"), Text(text, style=STYLES.get(who, "")))
