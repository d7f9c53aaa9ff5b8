"""MLflow: a run of the experiment "procmem", on the server that MLFLOW_TRACKING_URI names or in a folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from testbed.reports.export.sink import Point, SinkError, package

EXPERIMENT = "procmem"
_NOT_IN_A_NAME = re.compile(r"[^\w\-. /]")
"""What MLflow takes in no name of a metric."""


class MLflow:
    """A metric a name, a step an iteration. A run is found again by its name, and goes on."""

    def __init__(self, folder: Path, run: str) -> None:
        """Raises SinkError where mlflow is not installed, or its store cannot be reached."""
        package("mlflow", "MLflow", "mlflow")
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        client = package("mlflow.tracking", "MLflow", "mlflow").MlflowClient
        try:
            self._client = client(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or folder.resolve().as_uri())
            known = self._client.get_experiment_by_name(EXPERIMENT)
            experiment = known.experiment_id if known else self._client.create_experiment(EXPERIMENT)
            before = self._client.search_runs([experiment], filter_string=f"tags.`mlflow.runName` = '{run}'")
            self._run = (before[0] if before else self._client.create_run(experiment, run_name=run)).info.run_id
        except Exception as error:
            raise SinkError(f"MLflow cannot begin: {' '.join(str(error).split())}; see MLFLOW_TRACKING_URI") from error

    def log(self, point: Point) -> None:
        self._client.log_metric(self._run, _NOT_IN_A_NAME.sub("_", point.name), point.value, step=point.step)

    def close(self) -> None:
        self._client.set_terminated(self._run)
