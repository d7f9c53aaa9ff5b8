"""A playbook: bullets in sections, each with counts of how often it helped or harmed (ACE, 2510.04618)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from agents.guide import State
from agents.prompts import memory_text
from transfer.memory.memory import Seat, Unit, UnitMemory

Section = Literal["strategies", "formulas", "templates", "mistakes", "heuristics", "clues", "others"]

HEADINGS: Mapping[str, str] = {
    "strategies": "Strategies and insights",
    "formulas": "Formulas and calculations",
    "templates": "Snippets and templates",
    "mistakes": "Common mistakes to avoid",
    "heuristics": "Problem-solving heuristics",
    "clues": "Context clues and indicators",
    "others": "Others",
    "reflection": "On the last attempt at this game",
}
"""In the order in which they are shown."""

BULLET = "- [helpful {helpful}, harmful {harmful}] {text}"


class Playbook(UnitMemory):
    """Bullets in the order of their writing; a bullet's name is its section. All are always shown."""

    label: ClassVar[str] = "playbook"

    helpful: Mapping[str, int] = {}
    """Times a bullet was tagged so."""
    harmful: Mapping[str, int] = {}

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        """What has helped most comes first: where there is no room for all, the rest stays out."""
        return sorted(units, key=lambda unit: (unit.kind != "reflection", -self.worth(unit)))

    def worth(self, unit: Unit) -> int:
        return self.helpful.get(unit.id, 0) - self.harmful.get(unit.id, 0)

    def arrange(self, chosen: Sequence[Unit]) -> Sequence[Unit]:
        places = {unit.id: place for place, unit in enumerate(self.units)}
        sections = list(HEADINGS)
        return sorted(chosen, key=lambda unit: (sections.index(_section(unit)), places[unit.id]))

    def words(self, units: Sequence[Unit]) -> str:
        """Section by section, each bullet with its counts."""
        blocks: dict[str, list[str]] = {}
        for unit in self.arrange(units):
            blocks.setdefault(_section(unit), []).append(self._line(unit))
        return memory_text(["\n".join([HEADINGS[section], *lines]) for section, lines in blocks.items()])

    def _line(self, unit: Unit) -> str:
        if unit.kind == "reflection":
            return unit.text
        counts = {"helpful": self.helpful.get(unit.id, 0), "harmful": self.harmful.get(unit.id, 0)}
        return BULLET.format(text=unit.text, **counts)


def _section(unit: Unit) -> str:
    return unit.name if unit.name in HEADINGS else "others"
