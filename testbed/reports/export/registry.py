"""SINKS: every sink by the name that a command gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from testbed.reports.export.mlflow import MLflow
from testbed.reports.export.sink import Sink
from testbed.reports.export.tensorboard import TensorBoard
from testbed.reports.export.wandb import WeightsAndBiases

OpenSink = Callable[[Path, str], Sink]
"""From the folder for what is written here, and the name of the run. Raises SinkError."""

SINKS: Mapping[str, OpenSink] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow}
