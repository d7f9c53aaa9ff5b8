"""Lineage: who came from whom, why, with which verdict, and when each was born and died; from events alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from transfer.memory.events import Event


@dataclass(frozen=True)
class Life:
    """All that the events tell of one skill. Iterations are None where it never happened."""

    skill: str
    words: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    origin: str = ""
    """seed, REFINE, DISCOVER or gift."""
    parents: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    """Trajectories it was made from."""
    verdict: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    born: int | None = None
    died: int | None = None
    cause: str = ""
    score: float | None = None
    """Its last online score."""

    @property
    def name(self) -> str:
        return str(self.words.get("name", self.skill))


@dataclass(frozen=True)
class Lineage:
    """Every skill that was ever proposed, by id."""

    lives: Mapping[str, Life]
    reasons: Mapping[str, tuple[Event, ...]]
    """Per parent: the gradients and aggregates that were taken of it."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Lineage:
        """Rebuild it from events in their order."""
        lives: dict[str, Life] = {}
        reasons: dict[str, tuple[Event, ...]] = {}
        for event in events:
            if event.kind in ("gradient", "aggregate"):
                reasons[event.skill] = (*reasons.get(event.skill, ()), event)
            elif event.skill:
                lives[event.skill] = _told(lives.get(event.skill, Life(event.skill)), event)
        return cls(lives, reasons)

    @property
    def alive(self) -> list[str]:
        return [life.skill for life in self.lives.values() if life.born is not None and life.died is None]

    def offspring(self, skill: str) -> list[Life]:
        """Those of its candidates that were admitted."""
        return [life for life in self.lives.values() if skill in life.parents and life.born is not None]

    def ancestors(self, skill: str) -> Iterator[str]:
        """Parents, their parents, and so on, each once."""
        seen: set[str] = set()
        todo = list(self.lives[skill].parents) if skill in self.lives else []
        while todo:
            parent = todo.pop(0)
            if parent not in seen:
                seen.add(parent)
                yield parent
                todo += self.lives[parent].parents if parent in self.lives else ()

    def tree(self) -> str:
        """The family tree in indented lines."""
        roots = [life for life in self.lives.values() if life.born is not None and not _known(life, self.lives)]
        shown: set[str] = set()
        return "\n".join(line for root in roots for line in self._branch(root, 0, shown))

    def _branch(self, life: Life, depth: int, shown: set[str]) -> Iterator[str]:
        if life.skill in shown:
            return
        shown.add(life.skill)
        end = f", died {life.died} ({life.cause})" if life.died is not None else ""
        change = life.verdict.get("delta_J")
        gate = f", ΔJ {change:+.3g}" if isinstance(change, int | float) else ""
        score = f", score {life.score:+.3g}" if life.score is not None else ""
        name = " ".join(life.name.split())
        yield f"{'  ' * depth}{name} [{life.skill}] {life.origin}, born {life.born}{gate}{score}{end}"
        for child in self.offspring(life.skill):
            yield from self._branch(child, depth + 1, shown)


def _told(life: Life, event: Event) -> Life:
    """What is known of a skill after one more event about it."""
    said, now = event.payload, event.iteration
    if event.kind in ("seeded", "gift", "candidate") and life.born is None:
        # The same words may be proposed again later; whose child it is was settled at its birth.
        words = said.get("skill")
        life = replace(life, words=words if isinstance(words, dict) else life.words, parents=event.parents)
    match event.kind:
        case "seeded":
            life = replace(life, origin="seed", born=now)
        case "gift" if life.born is None:
            life = replace(life, origin="gift")
        case "candidate" if life.born is None:
            life = replace(life, origin=str(said.get("mode", "")), evidence=event.trajectories)
        case "verdict" if life.born is None:
            life = replace(life, verdict=said)
        case "admitted":
            life = replace(life, born=now if life.born is None else life.born, died=None, cause="")
        case "pruned":
            life = replace(life, died=now, cause=str(said.get("why", "")))
        case "scored":
            value = said.get("value")
            life = replace(life, score=float(value) if isinstance(value, int | float) else None)
        case _:
            pass
    return life


def _known(life: Life, lives: Mapping[str, Life]) -> bool:
    return any(parent in lives and lives[parent].born is not None for parent in life.parents)
