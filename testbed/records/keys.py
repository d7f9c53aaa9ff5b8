"""Keys of learners and populations in the records: `name/task/learning run`, where a task may hold slashes itself.

A learner of another memory than the study's pool is called `memory:agent`.
"""

from __future__ import annotations

from typing import NamedTuple


def _split(key: str) -> tuple[str, str, int]:
    """Raises ValueError for a key of another form."""
    name, slash, rest = key.partition("/")
    task, second, run = rest.rpartition("/")
    if not (slash and second and name and task) or not (run.isascii() and run.isdigit() and len(run) < 10):
        raise ValueError(f"{key[:60]!r} does not read name/task/learning run")
    return name, task, int(run)


class LearnerKey(NamedTuple):
    """Who learned what where: the row of a transfer matrix, and the cluster."""

    agent: str
    task: str
    learning_run: int
    memory: str = ""
    """Name of the memory; blank for the study's own skill pool."""

    @property
    def who(self) -> str:
        """The agent, with the memory it learns where that is not the study's pool."""
        return f"{self.memory}:{self.agent}" if self.memory else self.agent

    @property
    def key(self) -> str:
        return f"{self.who}/{self.task}/{self.learning_run}"

    @classmethod
    def of(cls, key: str) -> LearnerKey:
        """Raises ValueError for a key of another form."""
        who, task, run = _split(key)
        memory, _, agent = who.rpartition(":")
        return cls(agent, task, run, memory)


class PopulationKey(NamedTuple):
    """Where a population lives: under which policy (its arm), on which task, in which learning run."""

    arm: str
    task: str
    learning_run: int

    @property
    def key(self) -> str:
        return f"{self.arm}/{self.task}/{self.learning_run}"

    @classmethod
    def of(cls, key: str) -> PopulationKey:
        """Raises ValueError for a key of another form."""
        return cls(*_split(key))
