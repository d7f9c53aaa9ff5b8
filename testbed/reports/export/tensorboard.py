"""TensorBoard's event files."""

from __future__ import annotations

from pathlib import Path

from testbed.reports.export.sink import Point, package


class TensorBoard:
    """Scalars in TensorBoard's event files."""

    def __init__(self, folder: Path, run: str) -> None:
        """Raises SinkError where tensorboardX is not installed."""
        self._writer = package("tensorboardX", "TensorBoard", "tensorboard").SummaryWriter(str(folder / run))

    def log(self, point: Point) -> None:
        self._writer.add_scalar(point.name, point.value, point.step)

    def close(self) -> None:
        self._writer.close()
