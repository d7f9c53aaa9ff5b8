"""Rows of what learners did: events, iterations, looks, and the pools they came to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from testbed.records.keys import LearnerKey
from testbed.records.lines import IterationCommit, LookLine, MemoryCommit
from transfer.memory.events.contents import Admitted, Pruned, Scored
from transfer.memory.events.course import EpisodesMissing, MemberLost, Skipped, Spent, Warned
from transfer.memory.events.event import Event
from transfer.memory.events.evolution import Judged


def look_rows(looks: Iterable[LookLine]) -> Iterator[dict[str, Any]]:
    for look in looks:
        beside = {"look": look.look, "runs": look.runs, "tokens": look.tokens, "why": look.why}
        yield from (claim.model_dump() | beside for claim in look.claims)


def pool_rows(states: Mapping[str, IterationCommit | MemoryCommit], seeds: set[str]) -> Iterator[dict[str, Any]]:
    for committed in states.values():
        source = LearnerKey.of(committed.learner)
        if isinstance(committed, MemoryCommit):
            for unit in committed.units:
                row = {"unit": unit.id, "name": unit.name or unit.kind, "tokens": unit.tokens, "origin": unit.kind}
                yield {"pool": committed.memory, **source._asdict(), **row}
            continue
        for skill in committed.state.pool.each():
            origin = "seed" if skill.id in seeds else "refined" if skill.parents else "discovered"
            yield {
                "pool": committed.state.pool.digest,
                **source._asdict(),
                "unit": skill.id,
                "name": skill.name,
                "tokens": committed.tokens[skill.id],
                "origin": origin,
            }


def writing_row(line: IterationCommit | MemoryCommit, spent: Spent | None) -> dict[str, Any]:
    """What an iteration asked of models; runs of before it was counted asked nothing that is known."""
    return {
        **LearnerKey.of(line.learner)._asdict(),
        "iteration": line.committed,
        "calls": spent.calls if spent else 0,
        "tokens": spent.prompt_tokens + spent.completion_tokens if spent else 0,
        "scored": spent.scored if spent else 0,
        "archive_tokens": line.archive_tokens if isinstance(line, MemoryCommit) else 0,
    }


def event_row(order: int, learner: str, event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "order": order,
        **LearnerKey.of(learner)._asdict(),
        "iteration": event.iteration,
        "unit": event.skill,
        "parents": " ".join(event.parents),
        **dict.fromkeys(("J", "delta_J", "noise", "verdict", "score", "text")),
        **_measured(event),
    }


def _measured(event: Event) -> dict[str, Any]:
    """What an event of this kind has to say in columns of their own."""
    match event:
        case Judged():
            numbers = {"J": event.objective, "delta_J": event.change, "noise": event.noise}
            return {**numbers, "verdict": event.outcome or None, "text": event.why}
        case Admitted():
            return {"J": event.objective, "delta_J": event.change}
        case Scored():
            return {"score": event.value}
        case Pruned():
            return {"score": event.score, "text": event.why}
        case Skipped() | EpisodesMissing() | MemberLost() | Warned():
            return {"text": event.why or None}
        case _:
            return {}
