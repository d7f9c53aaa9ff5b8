"""`Snapshot`: a run at one moment, as the page and the terminal show it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from agents.models.adapters.metered import Account
from testbed.play.course.prices import Prices
from testbed.records.side_files.accounts import Post
from testbed.records.side_files.status import ServerState, UnderWay


class Cell(BaseModel):
    """One cell of the study, so far."""

    model_config = ConfigDict(frozen=True)

    phase: str
    arm: str
    agent: str
    task: str
    memory: str = ""
    source_agent: str = ""
    source_task: str = ""
    planned: int
    finished: int
    mean: float | None
    """Mean return of what is finished: no estimate of anything, as cells fill up in no random order."""


class Row(BaseModel):
    """One post of the accounts."""

    model_config = ConfigDict(frozen=True)

    agent: str
    model: str
    use: str
    arm: str
    memory: str
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    scored: int
    scored_tokens: int
    seconds: float
    recalled: int = 0
    """Answers that stood in a cache of calls."""
    cost: float

    @classmethod
    def of(cls, post: Post, account: Account, prices: Prices) -> Row:
        return cls(**post._asdict(), **asdict(account), cost=prices.of_post(post, account))


class Recent(BaseModel):
    """One of the latest episodes."""

    model_config = ConfigDict(frozen=True)

    id: str
    phase: str
    arm: str
    agent: str
    task: str
    total: float | None
    error: str | None


class Snapshot(BaseModel):
    """A run at one moment."""

    model_config = ConfigDict(frozen=True)

    run: str
    study: str
    state: str
    """Of `Status`, or "silent" where it says that it runs but has said nothing for a while, or "unknown"."""
    why: str = ""
    said: datetime | None = None
    """When it last said anything."""
    host: str = ""
    process: int = 0
    planned: int
    finished: int
    failed: int
    lost: int = 0
    """Lines of the records that could not be read."""
    steps: int = 0
    steps_done: int = 0
    left: float | None = None
    left_at_least: bool = False
    playing: tuple[UnderWay, ...] = ()
    thinking: tuple[UnderWay, ...] = ()
    scoring: tuple[int, int] | None = None
    servers: dict[str, ServerState] = {}
    """By address."""
    learners: dict[str, int] = {}
    """Iterations or rounds committed, by learner or population."""
    iterations: int = 0
    """Of each."""
    cells: tuple[Cell, ...] = ()
    accounts: tuple[Row, ...] = ()
    tokens: int = 0
    calls: int = 0
    hours: float = 0.0
    """Of wall time in which anything was asked, over all processes that ran the study."""
    cost: float | None = None
    """None where nothing has a price."""
    reasons: dict[str, int] = {}
    """Failed episodes not made good, by reason."""
    warnings: tuple[str, ...] = ()
    recent: tuple[Recent, ...] = ()
    """The latest first."""
