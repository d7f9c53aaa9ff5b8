"""Annals: a population study's records as the tables that `analysis.population` reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from testbed.store import RunDirectory, Told
from transfer.society import Society


def pool_rows(run: RunDirectory) -> Iterator[dict[str, Any]]:
    """The pools that members ended with, as rows of `analysis.tables.POOLS`."""
    gathered = run.societies()
    if not gathered:
        return
    tokens: dict[str, int] = {}
    births: dict[tuple[str, str], str] = {}
    for line in run.events():
        if isinstance(line, Told):
            births.setdefault((line.population, line.skill), line.kind)
        elif hasattr(line, "society"):
            tokens |= line.tokens
    for key, last in gathered.items():
        _, task, learning_run = key.rsplit("/", 2)
        society = Society.load(last.society, run.pool)
        for name, member in society.members.items():
            for skill in member.state.pool.each():
                yield {
                    "pool": member.state.pool.digest,
                    "agent": name,
                    "task": task,
                    "learning_run": int(learning_run),
                    "unit": skill.id,
                    "name": skill.name,
                    "tokens": tokens[skill.id],
                    "origin": "",
                }
