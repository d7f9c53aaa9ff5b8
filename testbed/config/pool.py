"""The `[[pools]]` tables of a study file: what was learned elsewhere, and is tried here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from testbed.config.table import OUTCOME_NEUTRAL, SINCE_FORMAT_1, Table

Control = Literal["random", "shuffled"]


class PoolConfig(Table):
    """One pool, or another memory. Where it lies can change no result; what it holds can, and so stands in `digest`."""

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
    admission: str = Field(default="trust", min_length=1, json_schema_extra=SINCE_FORMAT_1)
    """Who lets its skills in: "trust", all of them; "gate", each receiver's own PPO gate, as in a population."""
    evidence: int = Field(default=8, ge=1, json_schema_extra=SINCE_FORMAT_1)
    """Episodes that each agent plays on each task without any memory, and judges the skills by; none on trust."""
    controls: tuple[Control, ...] = Field(default=(), json_schema_extra=SINCE_FORMAT_1)
    """The same pool without choosing ("random"), and with the words of others in it ("shuffled")."""

    @model_validator(mode="after")
    def _one_place(self) -> PoolConfig:
        if sum(place is not None for place in (self.run, self.file, self.folder)) != 1:
            raise ValueError("write one of run, file and folder: where the pool lies")
        if self.source is not None and self.run is None:
            raise ValueError("source says who learned a pool in a run; name that run, or leave it out")
        return self

    @property
    def is_judged(self) -> bool:
        return self.admission != "trust"

    def judges_by(self, episode: int) -> bool:
        """Whether that episode of an agent's evidence is among those that this pool's skills are judged by."""
        return self.is_judged and episode < self.evidence
