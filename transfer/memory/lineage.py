"""Lineage: who came from whom, why, with which verdict, and when each was born and died; from events alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from transfer.memory.events.contents import Admitted, Given, Pruned, Scored, Seeded
from transfer.memory.events.event import Event
from transfer.memory.events.evolution import GradientsAggregated, GradientTaken, Judged, Proposed
from transfer.memory.events.line import SkillTexts


@dataclass(frozen=True)
class SkillHistory:
    """All that the events tell of one skill. Iterations are None where it never happened."""

    skill: str
    texts: SkillTexts = field(default_factory=SkillTexts)
    origin: str = ""
    """seed, REFINE, DISCOVER or gift."""
    parents: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    """Trajectories it was made from."""
    change: float | None = None
    """ΔJ of the verdict that let it in, or kept it out."""
    verdict: str = ""
    """That verdict, and why."""
    born: int | None = None
    died: int | None = None
    cause: str = ""
    score: float | None = None
    """Its last online score."""

    @property
    def name(self) -> str:
        return self.texts.name or self.skill


@dataclass(frozen=True)
class Lineage:
    """Every skill that was ever proposed, by id."""

    lives: Mapping[str, SkillHistory]
    reasons: Mapping[str, tuple[Event, ...]]
    """Per parent: the gradients and aggregates that were taken of it."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Lineage:
        """Rebuild it from events in their order."""
        lives: dict[str, SkillHistory] = {}
        reasons: dict[str, tuple[Event, ...]] = {}
        for event in events:
            if isinstance(event, GradientTaken | GradientsAggregated):
                reasons[event.skill] = (*reasons.get(event.skill, ()), event)
            elif event.skill:
                lives[event.skill] = _add(lives.get(event.skill, SkillHistory(event.skill)), event)
        return cls(lives, reasons)

    @property
    def alive(self) -> list[str]:
        return [life.skill for life in self.lives.values() if life.born is not None and life.died is None]

    def offspring(self, skill: str) -> list[SkillHistory]:
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

    def story(self, skill: str) -> list[str]:
        """A skill from its oldest ancestor on: each one's line, and what was said of it before it had offspring."""
        lines: list[str] = []
        for id in (*reversed(list(self.ancestors(skill))), skill):
            if id in self.lives:
                lines += self._branch(self.lives[id], 0, set(self.lives) - {id})
                if self.lives[id].verdict:
                    lines.append(f"  verdict: {self.lives[id].verdict}")
                lines += (f"  {event.iteration}: {_reason(event)}" for event in self.reasons.get(id, ()))
        return lines

    def _branch(self, life: SkillHistory, depth: int, shown: set[str]) -> Iterator[str]:
        if life.skill in shown:
            return
        shown.add(life.skill)
        end = f", died {life.died} ({life.cause})" if life.died is not None else ""
        gate = f", ΔJ {life.change:+.3g}" if life.change is not None else ""
        score = f", score {life.score:+.3g}" if life.score is not None else ""
        name = " ".join(life.name.split())
        yield f"{'  ' * depth}{name} [{life.skill}] {life.origin}, born {life.born}{gate}{score}{end}"
        for child in self.offspring(life.skill):
            yield from self._branch(child, depth + 1, shown)


def _add(life: SkillHistory, event: Event) -> SkillHistory:
    """What is known of a skill after one more event about it."""
    unborn = life.born is None
    if unborn and isinstance(event, Seeded | Given | Proposed):
        # The same words may be proposed again later; whose child it is was settled at its birth.
        life = replace(life, texts=event.texts, parents=event.parents)
    match event:
        case Seeded():
            life = replace(life, origin="seed", born=event.iteration)
        case Given() if unborn:
            life = replace(life, origin="gift")
        case Proposed() if unborn:
            life = replace(life, origin=event.mode, evidence=event.trajectories)
        case Judged() if unborn:
            verdict = ", ".join(filter(None, [event.outcome, " ".join(event.why.split())]))
            life = replace(life, change=event.change, verdict=verdict)
        case Admitted():
            life = replace(life, born=event.iteration if unborn else life.born, died=None, cause="")
        case Pruned():
            life = replace(life, died=event.iteration, cause=event.why)
        case Scored():
            life = replace(life, score=event.value)
        case _:
            pass
    return life


def _reason(event: Event) -> str:
    """What a gradient or an aggregate says, in one line."""
    parts = ("diagnosis", "activation", "procedure", "termination")
    said = {part: " ".join(str(getattr(event, part, "")).split()) for part in parts}
    return "; ".join(f"{part}: {text}" for part, text in said.items() if text) or "nothing to change"


def _known(life: SkillHistory, lives: Mapping[str, SkillHistory]) -> bool:
    return any(parent in lives and lives[parent].born is not None for parent in life.parents)
