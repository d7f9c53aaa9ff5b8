"""`procmem export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from testbed.cli.terminal import notices, say


def export(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    to: Annotated[
        Literal["tensorboard", "wandb", "mlflow", "inspect"], typer.Option(help="Whose files or server.")
    ] = "tensorboard",
    out: Annotated[Path | None, typer.Option(help="Where files go; by default a folder of that name here.")] = None,
) -> None:
    """Write a run's numbers for TensorBoard, W&B or MLflow, or its episodes as logs of Inspect.

    Numbers: learning curves, scores, returns. W&B and MLflow go where WANDB_MODE and MLFLOW_TRACKING_URI say.

    Examples: `procmem export runs/matrix-1a2b3c4d` · `procmem export runs/matrix-1a2b3c4d --to inspect`
    """
    folder = out or Path(to)
    with notices().status("exporting"):
        if to == "inspect":
            _episodes(run, folder / run.resolve().name)
        else:
            _numbers(run, to, folder)


def _episodes(path: Path, folder: Path) -> None:
    from testbed.records.run_directory import RunDirectory
    from testbed.reports.export.inspect_logs import InspectLogs

    count = sum(1 for _ in InspectLogs(RunDirectory.open(path), folder).write())
    say(f"{count} logs in {folder}; read them with: inspect view --log-dir {folder}")


def _numbers(path: Path, to: str, folder: Path) -> None:
    from testbed.records.run_directory import RunDirectory
    from testbed.reports.export.points import RunPoints
    from testbed.reports.export.registry import SINKS

    points = RunPoints(RunDirectory.open(path))
    sink, count = SINKS[to](folder, path.resolve().name), 0
    try:
        for told in (points.fresh, points.rest):
            for point in told():
                sink.log(point)
                count += 1
    finally:
        sink.close()
    shown = f" in {folder / path.resolve().name}; read them with: tensorboard --logdir {folder}"
    say(f"{count} numbers{shown if to == 'tensorboard' else f' for {to}'}")
