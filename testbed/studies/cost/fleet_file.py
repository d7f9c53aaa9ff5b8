"""`fleet.toml`: the GPUs that a study is to run on, and how fast its models are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError, model_validator

from testbed.config.reading.near_miss import did_you_mean
from testbed.config.reading.toml import read_toml
from testbed.config.study import ConfigError
from testbed.config.table import Table
from testbed.records.lines import first_problem

Positive = Annotated[float, Field(gt=0.0)]


@dataclass(frozen=True)
class Tokens:
    """What is asked of a model: prompt tokens that no cache holds, tokens to write, tokens to score."""

    prompt: float = 0.0
    written: float = 0.0
    scored: float = 0.0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.prompt + other.prompt, self.written + other.written, self.scored + other.scored)

    def __mul__(self, number: float) -> Tokens:
        return Tokens(self.prompt * number, self.written * number, self.scored * number)


NOTHING = Tokens()


class Gpus(Table):
    """Equal GPUs. A processor whose models run in one process counts as one, with the machine's memory."""

    count: int = Field(ge=1, le=4096)
    memory: Positive
    """GiB of each."""


class ModelSpeed(Table):
    """What one copy of a model needs, and what it does in a second."""

    model: str = Field(min_length=1)
    """As studies name it."""
    weights: Positive
    """GiB of one copy, over all its GPUs."""
    cache: float = Field(default=2.0, ge=0.0)
    """GiB of keys and values that it needs at least, on each of its GPUs."""
    tensor_parallel: int = Field(default=1, ge=1, le=64)
    copies: int | None = Field(default=None, ge=1)
    """At most so many; else as many as there is room for."""
    rows: int = Field(default=256, ge=1)
    """Requests in its batch at most; the others wait."""
    prompt: Positive
    """Prompt tokens a second that it reads, those in a cache not counted."""
    decode: Mapping[int, Positive] = Field(min_length=1)
    """Tokens a second that it writes, over all requests, by how many there are: { 1 = 40, 16 = 500 }."""
    score: Positive | None = None
    """Tokens a second of utterances whose likelihood is computed, the time for their prompts among it."""
    load: float = Field(default=60.0, ge=0.0)
    """Seconds until a server that is started answers."""
    sleep: float = Field(default=5.0, ge=0.0)
    wake: float = Field(default=5.0, ge=0.0)
    """Seconds to leave the memory for another model, and to come back."""
    measured: str = ""
    """Where these figures were measured; blank where they are assumed."""

    @model_validator(mode="after")
    def _batches(self) -> ModelSpeed:
        if min(self.decode) < 1:
            raise ValueError(f"{self.model}: decode names a batch of {min(self.decode)}; the smallest is 1")
        return self

    @property
    def need(self) -> float:
        """GiB on each of its GPUs."""
        return self.weights / self.tensor_parallel + self.cache

    def decoding(self, requests: int) -> float:
        """Tokens a second over so many requests: between the measured batches in a line, past the last as there."""
        batches = sorted(self.decode)
        if requests < batches[0]:
            return self.decode[batches[0]] * requests / batches[0]
        return float(np.interp(requests, batches, [self.decode[batch] for batch in batches]))

    def reading(self, tokens: Tokens) -> float:
        """Seconds that a request takes of its server before it writes."""
        return tokens.prompt / self.prompt + tokens.scored / (self.score or self.prompt)

    def working(self, tokens: Tokens, requests: int) -> float:
        """Seconds that it takes in all, where so many are under way at once."""
        return self.reading(tokens) + tokens.written / self.decoding(min(requests, self.rows))


class Driver(Table):
    """The one process that plays the games."""

    calls: Positive
    """Calls of models a second that it can make and read."""
    measured: str = ""


class FleetFile(Table):
    """All of it."""

    gpus: tuple[Gpus, ...] = Field(min_length=1)
    models: tuple[ModelSpeed, ...] = Field(min_length=1)
    driver: Driver | None = None
    """Without it, games and their driver take no time."""

    @model_validator(mode="after")
    def _once(self) -> FleetFile:
        names = [each.model for each in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"models: {twice[0]!r} stands there twice")
        return self

    def speed(self, model: str) -> ModelSpeed:
        """Raises ConfigError for one that is not there."""
        for each in self.models:
            if each.model == model:
                return each
        there = ", ".join(each.model for each in self.models)
        raise ConfigError(f"the fleet does not say how fast {model} is (there are: {there}); add it to [[models]]")

    @property
    def assumed(self) -> list[str]:
        """Whose figures nobody has measured."""
        found = [each.model for each in self.models if not each.measured]
        return [*found, "the driver"] if self.driver is not None and not self.driver.measured else found


def load_fleet(file: Path) -> FleetFile:
    """Raises ConfigError in one sentence."""
    data = read_toml(file)
    try:
        return FleetFile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        keys = [*FleetFile.model_fields, *Gpus.model_fields, *ModelSpeed.model_fields]
        meant = did_you_mean(str(first["loc"][-1]), keys) if first["loc"] else None
        raise ConfigError(f"{file}: {first_problem(error)}{'; ' + meant if meant else ''}") from None
