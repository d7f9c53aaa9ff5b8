"""`procmem check run`: an fsck for run directories."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from testbed.cli.terminal import output, plain, say, say_json

if TYPE_CHECKING:
    from testbed.records.side_files.manifest import Fault


def run(
    path: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended; nothing is thrown away.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Whether a run directory holds what it says: digests, pools, ids, sums, seals. Exit code 1 where it does not.

    With --repair, lines that cannot be read are moved to *.damaged.jsonl, and lost pools written from their commits;
    `procmem run` then does again what is owed.

    Examples: `procmem check run runs/matrix-1a2b3c4d` · `procmem check run runs/matrix-1a2b3c4d --repair`
    """
    from testbed.records.check.find import check_run
    from testbed.records.check.repair import repair_run

    deeds = repair_run(path) if repair else []
    faults = check_run(path)
    errors = sum(fault.severity == "error" for fault in faults)
    if as_json:
        found = [asdict(fault) for fault in faults]
        say_json({"run": str(path), "errors": errors, "faults": found, "repaired": deeds})
    else:
        for deed in deeds:
            say(f"Repaired: {deed}.")
        if faults:
            output().print(_table(faults))
        say(_verdict(path, faults, errors))
    if errors:
        raise typer.Exit(1)


def _table(faults: list[Fault]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", "file", "where", "what", "remedy"):
        table.add_column(column, overflow="fold")
    for fault in faults:
        severity = Text("ERROR", "bold red") if fault.severity == "error" else Text("note", "yellow")
        table.add_row(severity, *(plain(text) for text in (fault.file, fault.where, fault.what, fault.remedy)))
    return table


def _verdict(path: Path, faults: list[Fault], errors: int) -> str:
    if not errors:
        return f"{path}: no fault was found."
    mendable = sum(fault.repairable for fault in faults if fault.severity == "error")
    remedy = f"; --repair mends {mendable} of them" if mendable else ""
    return f"{path}: {errors} errors{remedy}."
