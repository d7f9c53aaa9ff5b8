"""`Sink`: where a run's numbers go besides the run directory. TensorBoard's files are one; any object with `log` is."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol

import numpy as np

from analysis.tables.run import Tables


class SinkError(RuntimeError):
    """A sink that cannot be written to; one sentence with the remedy."""


class Point(NamedTuple):
    """One number of a run: `name` has the parts of a path, `step` counts iterations of the learner (0: evaluation)."""

    name: str
    step: int
    value: float


class Sink(Protocol):
    def log(self, point: Point) -> None: ...


class TensorBoard:
    """Scalars in TensorBoard's event files."""

    def __init__(self, folder: Path) -> None:
        """Raises SinkError where tensorboardX is not installed."""
        try:
            writer = importlib.import_module("tensorboardX").SummaryWriter
        except ImportError:
            raise SinkError("TensorBoard files need tensorboardX: pip install 'procmem[tensorboard]'") from None
        self._writer: Any = writer(str(folder))

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.close()

    def log(self, point: Point) -> None:
        self._writer.add_scalar(point.name, point.value, point.step)


def send(tables: Tables, sink: Sink) -> int:
    """Log every point of a run; how many there were."""
    count = 0
    for point in points(tables):
        sink.log(point)
        count += 1
    return count


def points(tables: Tables) -> Iterator[Point]:
    """Learning curves and skill scores by iteration, then the mean return of every evaluated cell and learning run."""
    learner = ["agent", "task", "learning_run"]
    curves = tables.learning.groupby([*learner, "iteration"], observed=True)["return"].mean().dropna()
    for (agent, task, run, iteration), value in curves.items():  # pyright: ignore[reportGeneralTypeIssues]
        yield Point(f"learning/{agent}/{task}/run{run}", int(iteration), float(value))
    scored = tables.events[(tables.events["kind"] == "scored") & np.isfinite(tables.events["score"].astype(float))]
    for row in scored.to_dict("records"):
        place = f"{row['agent']}/{row['task']}/run{row['learning_run']}"
        yield Point(f"score/{place}/{row['unit']}", int(row["iteration"]), float(row["score"]))
    cells = ["arm", "source_agent", "source_task", *learner]
    means = tables.episodes.groupby(cells, observed=True)["return"].mean().dropna()
    for (arm, source, home, agent, task, run), value in means.items():  # pyright: ignore[reportGeneralTypeIssues]
        memory = f"{arm}/{source}.{home}" if source else str(arm)
        yield Point(f"evaluation/{memory}/{agent}/{task}/run{run}", 0, float(value))
