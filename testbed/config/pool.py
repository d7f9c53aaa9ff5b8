"""The `[[pools]]` tables of a study file: what was learned elsewhere, and is tried here."""

from __future__ import annotations

from pydantic import Field, model_validator

from testbed.config.table import OUTCOME_NEUTRAL, Table


class PoolConfig(Table):
    """One pool, or another memory. Of all that is said of it, its name and its digest alone can change a result."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=64)
    run: str | None = Field(default=None, min_length=1, json_schema_extra=OUTCOME_NEUTRAL)
    """A run directory in which it was learned; `source` or `digest` says which of its pools."""
    source: str | None = Field(default=None, min_length=1, json_schema_extra=OUTCOME_NEUTRAL)
    """Who learned it there: agent/task/learning run (`procmem skills list RUN`)."""
    file: str | None = Field(default=None, min_length=1, json_schema_extra=OUTCOME_NEUTRAL)
    """A pool's or a memory's JSON file."""
    folder: str | None = Field(default=None, min_length=1, json_schema_extra=OUTCOME_NEUTRAL)
    """A folder of SKILL.md files, or of one."""
    digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$")
    """Of its content; found out where it is not given, checked where it is."""

    @model_validator(mode="after")
    def _one_place(self) -> PoolConfig:
        if sum(place is not None for place in (self.run, self.file, self.folder)) != 1:
            raise ValueError("write one of run, file and folder: where the pool lies")
        if self.source is not None and self.run is None:
            raise ValueError("source says who learned a pool in a run; name that run, or leave it out")
        return self
