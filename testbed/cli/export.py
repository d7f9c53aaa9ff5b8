"""`procmem export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from testbed.cli.terminal import say


def export(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    out: Annotated[Path, typer.Option(help="Where the event files go.")] = Path("tensorboard"),
) -> None:
    """Write a run's learning curves, scores and returns as TensorBoard event files.

    Example: `procmem export runs/matrix-1a2b3c4d --out tensorboard`
    """
    from testbed.reports.tables import load_run
    from testbed.reports.tensorboard import TensorBoard, send

    tables = load_run(run)
    folder = out / run.resolve().name
    with TensorBoard(folder) as sink:
        count = send(tables, sink)
    say(f"{count} numbers in {folder}; read them with: tensorboard --logdir {out}")
