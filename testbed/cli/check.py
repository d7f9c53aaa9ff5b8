"""`procmem check`: does what others plug in keep its promises, are runs what they say, and what can a server do?"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import anyio
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from testbed.cli import check_run
from testbed.cli.study_file import open_working_folder
from testbed.cli.terminal import notices, output, plain, say_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.models.served.probe import ServerProbe
    from environments.conformance.check_env import Report

REMOTE = 50.0
"""What an environment with processes of its own takes, in terms of one without: 91 s and 1.6 s on a busy machine."""
PACE_OVER = 300.0
"""Seconds over which the time left is reckoned: environments differ."""

app = typer.Typer(help="Check environments against their contract, run directories, and servers.", no_args_is_help=True)
app.command("run")(check_run.run)


@app.callback()
def check() -> None:
    """Check environments against their contract, run directories, and servers."""


@app.command()
def env(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Ids, or package.module:factory for your own.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Check every registered environment.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Environments at once; by itself one a processor.")] = None,
    within: Annotated[
        float, typer.Option(min=1.0, help="Seconds that an environment may take in all; then it has failed.")
    ] = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Run the conformance suite, PettingZoo's api_test and seed_test among it.

    Each environment is checked in a process of its own. Exit code 1 where a check fails, a named environment lacks its
    data or has an unknown name.

    Examples: `procmem check env Mastermind-v0` · `procmem check env mygame:COIN` · `procmem check env --all`
    """
    if bool(names) == everything:
        raise typer.BadParameter("give environment ids, or --all")
    from environments.registry import ENVIRONMENTS

    if any(":" in name for name in names or ()):
        open_working_folder()
    reports = _run(list(ENVIRONMENTS) if everything else names or [], jobs or os.cpu_count() or 1, within)
    if as_json:
        say_json([asdict(report) | {"passed": report.passed} for report in reports], indent=2)
    else:
        output().print(_overview(reports) if everything else _details(reports))
    # With --all a game whose data is not installed is passed over; asked for by name it is a failure.
    if any(not report.passed and not (everything and report.missing) for report in reports):
        raise typer.Exit(1)


@app.command()
def server(
    url: Annotated[str, typer.Argument(metavar="URL", help="Its base URL, such as http://127.0.0.1:8000/v1.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model, as the server calls it.")],
    tokenizer: Annotated[str | None, typer.Option(help="Its tokenizer, where MODEL names none.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="The variable that holds the server's key.")] = None,
    reasoning_budget: Annotated[int, typer.Option(min=0, help="Tokens for a thought before the answer.")] = 0,
    thinking: Annotated[bool, typer.Option(help="--no-thinking: chat_template_kwargs.enable_thinking = false.")] = True,
    timeout: Annotated[float, typer.Option(min=0.1, help="Longest silence in seconds.")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Ask a server once what it can and cannot do: grammars, likelihoods, thoughts, tokenizer, context.

    Exit code 1 where an agent could not play there; the last line says what to change.
    """
    from agents.models.served.model import ServedModel
    from agents.models.served.probe import probe

    async def ask() -> ServerProbe:
        served = await ServedModel.connect(
            model,
            [url],
            tokenizer=tokenizer,
            timeout=timeout,
            patience=0.0,
            api_key_env=api_key_env,
            reasoning_budget=reasoning_budget,
            chat_template_kwargs={} if thinking else {"enable_thinking": False},
        )
        try:
            return await probe(served)
        finally:
            await served.close()

    found = anyio.run(ask)
    if as_json:
        say_json(found.record(), indent=2)
    else:
        output().print(_abilities(found), plain(found.sentence), sep="\n")
        if found.advice:
            output().print(plain(found.advice))
    if found.advice:
        raise typer.Exit(1)


def _abilities(found: ServerProbe) -> Table:
    table = _table("ability", "")
    for name, value in found.record().items():
        if name not in ("sentence", "advice"):
            table.add_row(Text(name), Text(_shown(value)))
    return table


def _shown(value: str | int | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not told" if value is None else str(value) or "none"


class CheckProgress:
    """A bar over all checks of all environments, by what they may cost."""

    def __init__(self, weights: Mapping[str, float], checks: int) -> None:
        """`weights`: of each environment, by its name; each has so many `checks`."""
        self._bar = Progress(
            TextColumn("{task.fields[through]}/{task.fields[environments]} · elapsed"),
            TimeElapsedColumn(),
            BarColumn(bar_width=15),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=notices(),
            transient=True,
            speed_estimate_period=PACE_OVER,
        )
        self._weights = weights
        total = checks * sum(weights.values())
        self._task = self._bar.add_task("starting", total=total, environments=len(weights), through=0)
        self._done: dict[str, int] = {}
        self._doing: dict[str, str] = {}

    def __enter__(self) -> CheckProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def __call__(self, name: str, doing: str, done: int) -> None:
        self._done[name], self._doing[name] = done, doing
        under_way = [name for name, doing in self._doing.items() if doing]
        self._bar.update(
            self._task,
            completed=sum(self._weights[name] * done for name, done in self._done.items()),
            through=len(self._doing) - len(under_way),
            description=", ".join(under_way),
        )


def _run(names: list[str], jobs: int, within: float) -> list[Report]:
    from environments.conformance.apart import check_apart
    from environments.conformance.checks import CHECKS
    from testbed.config.plugins import find_environment

    weights = {name: REMOTE if find_environment(name).remote else 1.0 for name in names}
    with CheckProgress(weights, len(CHECKS)) as progress:
        return check_apart(names, find_environment, jobs=jobs, within=within, progress=progress)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
    return table


def _verdict(passed: bool) -> Text:
    return Text("pass", "green") if passed else Text("FAIL", "bold red")


def _details(reports: list[Report]) -> Table:
    """Every check of every environment; what environments say is shown as text, never as markup."""
    table = _table("environment", "check", "", "found", "seconds")
    for report in reports:
        if report.missing:
            table.add_row(plain(report.id), "", Text("MISSING", "yellow"), plain(report.missing), "")
        for name, row in zip([report.id, *[""] * len(report.rows)], report.rows, strict=False):
            seconds = f"{row.seconds:.2f}"
            table.add_row(plain(name), plain(row.check), _verdict(row.passed), plain(row.detail), seconds)
    return table


def _overview(reports: list[Report]) -> Table:
    """One line an environment, with what failed."""
    table = _table("environment", "", "checks", "found", "seconds")
    for report in reports:
        failed = [f"{row.check}: {row.detail}" for row in report.rows if not row.passed]
        table.add_row(
            plain(report.id),
            Text("MISSING", "yellow") if report.missing else _verdict(report.passed),
            f"{len(report.rows) - len(failed)}/{len(report.rows)}",
            plain(report.missing or "; ".join(failed)),
            f"{sum(row.seconds for row in report.rows):.2f}",
        )
    return table
