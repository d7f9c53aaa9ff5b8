"""Weights & Biases: a run of the project that WANDB_PROJECT names, online or offline as WANDB_MODE says."""

from __future__ import annotations

import os
from pathlib import Path

from testbed.reports.export.sink import Point, SinkError, package

PROJECT = "procmem"


class WeightsAndBiases:
    """Each number is logged with the iteration it belongs to, which is the axis of all of them."""

    def __init__(self, folder: Path, run: str) -> None:
        """Raises SinkError where wandb is not installed, or cannot begin (no key, no network)."""
        wandb = package("wandb", "Weights & Biases", "wandb")
        folder.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(silent=True, console="off", x_disable_meta=True, save_code=False)
        try:
            project = os.environ.get("WANDB_PROJECT", PROJECT)
            self._run = wandb.init(project=project, id=run, name=run, dir=str(folder), resume="allow", settings=quiet)
        except Exception as error:
            why = " ".join(str(error).split())
            raise SinkError(
                f"Weights & Biases cannot begin: {why}; set WANDB_API_KEY, or WANDB_MODE=offline"
            ) from error
        self._run.define_metric("*", step_metric="iteration")

    def log(self, point: Point) -> None:
        self._run.log({point.name: point.value, "iteration": point.step})

    def close(self) -> None:
        self._run.finish()
