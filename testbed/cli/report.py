"""`procmem report`, `procmem audit` and `procmem show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.table import Table

from testbed.cli.terminal import notices, output, plain, say, say_json

if TYPE_CHECKING:
    from pandas import DataFrame

    from analysis.matrix.comparison.runs import Comparison
    from analysis.results import Results
    from testbed.records.run_directory import RunDirectory
    from testbed.records.trial import Episode

MOST_COLUMNS = 13
"""Columns of a matrix that a terminal can show."""
STYLES = {"observation": "cyan", "action": "bold green", "reward": "yellow", "error": "bold red", "end": "bold"}


def report(
    runs: Annotated[list[Path], typer.Argument(help="A run directory; several are compared with each other.")],
    resamples: Annotated[
        int | None, typer.Option(min=100, help="Bootstrap and permutation resamples, other than the study's.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes: RUN/report, or ./comparison for several runs.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="One of the study's memories, reported as the skill pool is: RUN/report-NAME.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Analyse a run: the matrix here, everything else in RUN/report/report.html. Or compare several runs.

    Runs are compared on common tasks and environment seeds; what is not comparable is refused with the reason. A
    report is put in its place when all of it is written; with --out, the run may be in a folder that is read-only.

    Examples: `procmem report runs/matrix-1a2b3c4d` · `procmem report runs/monday runs/tuesday --out monday-tuesday` ·
    `procmem report /archive/matrix-1a2b3c4d --out report`
    """
    from testbed.reports.write import report_place, write_comparison, write_report

    waiting = notices().status("analysing")
    if len(runs) > 1:
        place = out or Path("comparison")
        with waiting:
            comparison = write_comparison(runs, place, resamples=resamples)
        _print_comparison(comparison, place, as_json)
        return
    place = out or report_place(runs[0], memory)
    with waiting:
        findings = write_report(runs[0], place, resamples=resamples, memory=memory)
    if as_json:
        say_json(
            {
                "run": str(runs[0]),
                "unfinished": findings.unfinished,
                "missing": list(findings.missing),
                "findings": findings.rows(),
                "warnings": list(findings.warnings),
            }
        )
    else:
        print_findings(findings, place)


def _print_comparison(found: Comparison, out: Path, as_json: bool) -> None:
    if as_json:
        rows = [each.row() for each in found.findings]
        say_json({"out": str(out), "missing": list(found.missing), "findings": rows, "refusals": list(found.refusals)})
        return
    console = output()
    for sentence in found.missing:
        console.print(plain(sentence, style="yellow"))
    for each in found.findings:
        console.print(plain(each.sentence))
    for refusal in found.refusals:
        console.print(plain(f"Not compared: {refusal}", style="yellow"))
    say(f"Report: {out / 'report.html'}")


def audit(
    run: Annotated[Path, typer.Argument(help="A run directory with a report, or the folder of a comparison.")],
    out: Annotated[
        Path | None, typer.Option("--report", help="Where the report lies, if it was written with --out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what differs as JSON.")] = False,
) -> None:
    """Check the records against the study, and every file of the report against the records. Exit code 1 for a fault.

    Examples: `procmem audit runs/matrix-1a2b3c4d` · `procmem audit /archive/matrix-1a2b3c4d --report report`
    """
    from testbed.reports.audit import audit_run

    with notices().status("recomputing"):
        differences = audit_run(run, out)
    if as_json:
        say_json({"run": str(run), "differences": differences})
    else:
        for sentence in differences:
            say(sentence)
        agree = "The records fit the study, and give every file of the report."
        say(f"{len(differences)} differences." if differences else agree)
    if differences:
        raise typer.Exit(1)


def print_findings(findings: Results, out: Path) -> None:
    """The matrix of returns and of reuse, the summary, the warnings, and where the report lies."""
    from analysis.report.text_matrix import text_matrix

    console = output()
    for title, cells, measure in (
        ("Return, mean [95 % CI]", findings.cells, "return"),
        ("Reuse: share of stored skills used at least once [95 % CI]", findings.reuse, "coverage"),
    ):
        if cells.empty:
            continue
        matrix = text_matrix(cells, measure)
        if len(matrix.header) > MOST_COLUMNS:
            console.print(
                plain(f"{title}: {len(matrix.rows)} memories × {len(matrix.header) - 1} targets, in the report.")
            )
            continue
        table = Table(title=title, show_lines=True)
        for name in matrix.header:
            table.add_column(plain(name), overflow="fold")
        for row in matrix.rows:
            table.add_row(*(plain(text) for text in row))
        console.print(table)
    if findings.paper is not None:
        _print_paper(findings.paper)
    for warning in (findings.unfinished, *findings.missing):
        if warning:
            console.print(plain(f"Warning: {warning}", style="yellow"))
    population = findings.population
    for sentence in (*findings.summary, *(population.summary if population else ())):
        console.print(plain(sentence))
    for warning in (*findings.warnings, *(population.warnings if population else ())):
        console.print(plain(f"Warning: {warning}", style="yellow"))
    say(f"Report: {out / 'report.html'}")


def _print_paper(found: DataFrame) -> None:
    """The paper's values beside ours, and who plays under its agents' names."""
    from analysis.findings import number

    table = Table(title="Beside the paper: its value, ours [95 % CI]")
    columns = ("measure", "memory", "agent", "task", "paper", "ours")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in found.to_dict("records"):
        interval = f" [{number(row['ours_low'])}, {number(row['ours_high'])}]"
        names = (plain(str(row[name])) for name in columns[:-2])
        table.add_row(*names, f"{row['paper']:g}", plain(number(row["ours"]) + interval.replace(" [—, —]", "")))
    console = output()
    console.print(table)
    for agent, model in dict(zip(found["agent"], found["model"], strict=True)).items():
        console.print(plain(f"{agent} is {model}."))


def show(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    episode: Annotated[str | None, typer.Argument(help="Trial id, or the start of one; none lists them all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the stored record.")] = False,
    lineage: Annotated[
        bool, typer.Option("--lineage", help="Show whose child every skill is, and its verdict.")
    ] = False,
) -> None:
    """Read an episode as a person would: observation, skill, action, reward; or where a run's skills come from.

    Examples: `procmem show runs/matrix-1a2b3c4d` · `procmem show runs/matrix-1a2b3c4d 3f9a` ·
    `procmem show runs/matrix-1a2b3c4d --lineage`
    """
    from testbed.records.run_directory import RunDirectory

    directory = RunDirectory.open(run)
    if lineage:
        from testbed.cli.pools import print_trees

        print_trees(directory, as_json=as_json)
        return
    if episode is None:
        _print_list(directory, as_json)
        return
    found = directory.find(episode)
    if as_json:
        say_json(found.model_dump(mode="json"))
        return
    _print_transcript(found, directory)


def _print_list(directory: RunDirectory, as_json: bool) -> None:
    columns = ("id", "phase", "arm", "memory", "agent", "task", "learning_run", "episode")
    with directory.index() as index:
        rows = [{**{name: getattr(entry, name) for name in columns}, "return": entry.total} for entry in index.latest()]
    if as_json:
        say_json(rows)
        return
    table = Table()
    for name in rows[0] if rows else ():
        table.add_column(name)
    for row in rows:
        table.add_row(*(plain(f"{value:.3f}" if isinstance(value, float) else value) for value in row.values()))
    output().print(table)


def _print_transcript(episode: Episode, directory: RunDirectory) -> None:
    from testbed.reports.rows.transcript import transcript

    console = output()
    shown = transcript(episode)
    names = {}
    if episode.trial.pool is not None:
        names = {unit.id: unit.name or unit.kind for unit in directory.memory(episode.trial.pool).units}
    console.rule(plain(shown.title))
    for who, what in shown.lines:
        if who == "rules":
            console.print(Panel(plain(what), title="rules", title_align="left", style="dim"))
            continue
        text = names.get(what, what) if who.startswith("skill") or who == "recalled" else what
        indented = text.replace("\n", "\n" + " " * 16)  # so that no line of a text passes for one of ours
        console.print(plain(f"{who:>13}  ", style="dim"), plain(indented, style=STYLES.get(who, "")))
