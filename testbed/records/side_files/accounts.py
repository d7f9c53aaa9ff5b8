"""`accounts.jsonl`: what a run's models were asked and what it took, whoever asked, failed episodes among it.

Each line is what has come since the line before it, so that the sum of all lines is the whole, over every process that
wrote the run. A killed process takes those of its last seconds along. No result depends on this file.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.models.adapters.metered import Account, Charge, Use
from testbed.records.append_only import StoreError, append_text, complete_lines, drop_torn_line, writing

NAME = "accounts.jsonl"


class Post(NamedTuple):
    """One row of the accounts: whose model, what for, in which arm, with which memory."""

    agent: str
    model: str
    use: Use
    arm: str
    memory: str = ""
    """Blank for the study's own pool, and for none."""


class Entry(BaseModel):
    """What stands on one post of a line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: str
    model: str
    use: Use
    arm: str
    memory: str = ""
    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    scored: int = 0
    scored_tokens: int = 0
    seconds: float = 0.0
    recalled: int = 0
    recalled_tokens: int = 0

    @property
    def post(self) -> Post:
        return Post(self.agent, self.model, self.use, self.arm, self.memory)

    @property
    def account(self) -> Account:
        return Account(**self.model_dump(exclude=set(Post._fields)))


class AccountLine(BaseModel):
    """What has come since the line before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    process: int
    seconds: float
    """Of wall time, while this process ran the study."""
    processor: float = 0.0
    """Of processor time of this process, which does not grow with what else the machine does."""
    entries: tuple[Entry, ...]


class Accounts:
    """Sums by post, and the seconds that the study has run."""

    def __init__(self) -> None:
        self.posts: defaultdict[Post, Account] = defaultdict(Account)
        self.seconds = 0.0

    def add(self, line: AccountLine) -> None:
        self.seconds += line.seconds
        for entry in line.entries:
            self.posts[entry.post].add(entry.account)

    @property
    def total(self) -> Account:
        return total(self.posts.values())


def total(accounts: Iterable[Account]) -> Account:
    """Their sum."""
    out = Account()
    for account in accounts:
        out.add(account)
    return out


def read_accounts(run: Path) -> Accounts:
    """The accounts of a run directory; empty for a run of an earlier version."""
    found = Accounts()
    for line in account_lines(run / NAME):
        found.add(line)
    return found


def account_lines(file: Path) -> Iterator[AccountLine]:
    """Complete lines in order; what is no such line is passed over, as nothing depends on it."""
    for _, _, text in complete_lines(file):
        try:
            yield AccountLine.model_validate_json(text)
        except ValidationError:
            continue


class AccountBook:
    """The accounts of a run while it is written. `with AccountBook(run.path) as book`; without a folder, in memory.

    What is charged is in the sums at once, and on the disk when it is saved.
    """

    def __init__(self, run: Path | None = None) -> None:
        self._file = None if run is None else run / NAME
        self.before = Accounts() if run is None else read_accounts(run)
        """What earlier processes have left."""
        self.now = Accounts()
        """What has come since this one began."""
        self._new: defaultdict[Post, Account] = defaultdict(Account)
        self._saved = time.monotonic()
        self._processor = time.process_time()

    def __enter__(self) -> AccountBook:
        """Raises StoreError where the file cannot be written."""
        if self._file is not None:
            with writing(self._file):
                drop_torn_line(self._file)
                self._file.touch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.save()
        except StoreError:
            if error is None:
                raise

    def charge(self, charge: Charge, arm: str, memory: str = "") -> None:
        post = Post(charge.agent, charge.model, charge.use, arm, memory)
        self.now.posts[post].add(charge.cost)
        self._new[post].add(charge.cost)

    def save(self) -> None:
        """Write what has come since the last time, if anything has. Raises StoreError."""
        if not self._new:
            return
        now, processor = time.monotonic(), time.process_time()
        entries = [Entry(**post._asdict(), **asdict(account)) for post, account in sorted(self._new.items())]
        line = AccountLine(
            at=datetime.now(UTC),
            process=os.getpid(),
            seconds=now - self._saved,
            processor=processor - self._processor,
            entries=tuple(entries),
        )
        self.now.seconds += line.seconds
        if self._file is not None:
            append_text(self._file, line.model_dump_json() + "\n")
        self._new.clear()
        self._saved, self._processor = now, processor


def by(posts: Mapping[Post, Account], *fields: str) -> dict[tuple[str, ...], Account]:
    """Sums over all other fields of a post, in order: `by(posts, "agent", "use")`."""
    out: defaultdict[tuple[str, ...], Account] = defaultdict(Account)
    for post, account in sorted(posts.items()):
        out[tuple(getattr(post, field) for field in fields)].add(account)
    return dict(out)
