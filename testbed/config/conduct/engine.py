"""The `[engine]` table of a study file: where its episodes are played. It can change no result."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from testbed.config.table import Table


class EngineConfig(Table):
    """`engine = "ray"` is short for a table with that name alone."""

    name: Literal["local", "ray"] = "local"
    """In this process, or by workers of Ray on one machine or many."""
    address: str | None = Field(default=None, min_length=1, max_length=300)
    """A Ray cluster that is there, as host:port, or "auto" on one of its machines; none: one is started here."""
    workers: int | None = Field(default=None, ge=1, le=4096)
    """Processes that play episodes; by default as many as the cluster has processors that no model takes."""
    gpus: float = Field(default=1.0, gt=0.0, le=16.0)
    """Of each model that is loaded, where the cluster has any: 0.5 lets two models share one."""

    @model_validator(mode="after")
    def _is_of_ray(self) -> EngineConfig:
        if self.name == "local" and (self.address or self.workers or self.gpus != 1.0):
            raise ValueError('address, workers and gpus are of Ray; write name = "ray" beside them')
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus = {self.gpus:g}: Ray gives whole GPUs, or a part of one")
        return self
