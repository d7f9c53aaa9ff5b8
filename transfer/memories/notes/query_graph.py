"""G-Memory's three layers as one value, and how it is read: episodes, the graph of what was asked, insights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from agents.embedding import Embedder
from agents.guide import State
from agents.models.model import Message, Sampling
from agents.skill import Words
from transfer.memories.likeness import likeness
from transfer.memories.notes.insights import Insight
from transfer.memory.memory import Seat, Unit, UnitMemory, inherited
from transfer.nppo.evolver import Unusable, structured

TEMPERATURE = 0.1
ANSWER = 512
"""Tokens of an answer at most; both as in the official code."""
SUPPORTERS = (4, 2)
"""Successes and failures likest to a game, by which insights are ranked."""

READING = {
    "task": "You judge whether an earlier game helps with a new one. You answer in JSON.",
    "relevance": (
        "The new game has these rules:\n{rules}\n\nIt begins with:\n{observation}\n\nThe earlier game:\n{episode}\n\n"
        "How much does the earlier game help with the new one? 1 is not at all, 10 is as much as can be."
    ),
}


class Relevance(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    score: Annotated[int, Field(ge=1, le=10)]


class Query(BaseModel):
    """A node of the graph: an episode as something that was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trajectory: str
    success: bool
    key_steps: tuple[Words, ...]
    mistake: Words = ""
    """Why it failed."""
    neighbours: tuple[str, ...] = ()
    """Trajectories of the earlier nodes that it is joined to; an edge has no direction."""


class GMemory(UnitMemory):
    """Episodes near the game in the graph, of which a model picks, and the insights that such episodes speak for."""

    label: ClassVar[str] = "g_memory"

    successes: int
    failures: int
    shown_insights: int
    threshold: float
    hop: int
    rank: Literal["score", "likeness"]
    queries: Mapping[str, Query] = {}
    """By unit; of the units the episodes come first."""
    insights: Mapping[str, Insight] = {}
    """By unit."""
    learnt: int = 0
    """Episodes so far."""
    born: int = 0
    """Insights so far, those that are gone among them."""

    async def choose(self, seat: Seat, state: State, units: Sequence[Unit]) -> Sequence[Unit]:
        ranked = self.by_likeness(seat.embedder, state.observation, units)
        near = [unit for unit, alike in ranked if alike >= self.threshold]
        order = [unit for unit, _ in ranked]
        found = self._around(order, near, success=True, count=2 * self.successes)
        if self.rank == "score" and len(found) > self.successes:
            scores = {unit.id: await _relevance(seat, state, unit) for unit in found}
            found.sort(key=lambda unit: -scores[unit.id])
        failed = self._around(order, near, success=False, count=self.failures)
        return [*found[: self.successes], *failed, *self._supported(order, units)]

    @property
    def rules(self) -> list[Insight]:
        """The insights in the order of their units."""
        return [self.insights[unit.id] for unit in self.units if unit.id in self.insights]

    @property
    def episodes(self) -> list[Unit]:
        """In the order of writing."""
        return [unit for unit in self.units if unit.id in self.queries]

    def by_likeness(self, embedder: Embedder, query: str, units: Sequence[Unit]) -> list[tuple[Unit, float]]:
        """The episodes among these units, the likest first and of equal ones the latest, each with its cosine."""
        episodes = [unit for unit in reversed(units) if unit.id in self.queries]
        alike = likeness(embedder, query, [unit.key for unit in episodes]).tolist()
        return sorted(zip(episodes, alike, strict=True), key=lambda pair: -pair[1])

    def of_outcome(self, episodes: Sequence[Unit], success: bool) -> list[Unit]:
        return [unit for unit in episodes if self.queries[unit.id].success == success]

    def trajectories(self, episodes: Sequence[Unit]) -> list[str]:
        """Their names in the graph."""
        return [self.queries[unit.id].trajectory for unit in episodes]

    def _around(self, order: Sequence[Unit], near: Sequence[Unit], *, success: bool, count: int) -> list[Unit]:
        """So many that ended like this: from around the likest nodes of the graph, or else wherever they are."""
        wanted = self.of_outcome(near, success)
        likest = self.trajectories(order[: max(self.successes + self.failures, 1)])
        reached = reachable(self.queries.values(), likest, self.hop)
        related = [unit for unit in wanted if self.queries[unit.id].trajectory in reached]
        return (related if len(related) >= count else wanted)[:count]

    def _supported(self, order: Sequence[Unit], units: Sequence[Unit]) -> list[Unit]:
        """The insights for which most of the likest episodes speak; of equal ones those with most votes."""
        successes, failures = (
            self.of_outcome(order, success)[:count] for success, count in zip((True, False), SUPPORTERS, strict=True)
        )
        similar = self.trajectories([*successes, *failures])
        insights = [(unit, self.insights[unit.id]) for unit in units if unit.id in self.insights]
        supported = [pair for pair in insights if pair[1].supported_by(similar)]
        supported.sort(key=lambda pair: (-pair[1].supported_by(similar), -pair[1].score))
        return [unit for unit, _ in supported[: self.shown_insights]]

    def holding(self, units: Iterable[Unit]) -> Self:
        held = tuple(units)
        kept = {"queries": inherited(self.queries, held), "insights": inherited(self.insights, held)}
        return self.model_copy(update={"units": held, **kept})

    def with_episode(self, unit: Unit, query: Query) -> Self:
        """With one more episode; one of the same words only adds its evidence."""
        if unit.id in self.queries:
            units = [each.with_evidence_of(unit) if each.id == unit.id else each for each in self.units]
            return self.model_copy(update={"units": tuple(units), "learnt": self.learnt + 1})
        insights = [each for each in self.units if each.id in self.insights]
        units = [*self.episodes, unit, *insights]
        queries = {**self.queries, unit.id: query}
        return self.model_copy(update={"units": tuple(units), "queries": queries, "learnt": self.learnt + 1})

    def with_insights(self, insights: Sequence[Insight]) -> Self:
        """With these insights in place of its own; of two with the same words the first."""
        seeds = {self.queries[unit.id].trajectory: unit.env_seeds for unit in self.episodes}
        before = {insight.number: id for id, insight in self.insights.items()}
        known: dict[str, Insight] = {}
        units = self.episodes
        for insight in insights:
            games = dict.fromkeys(seed for name in insight.support for seed in seeds.get(name, ()))
            unit = Unit(kind="insight", text=insight.rule, trajectories=insight.support, env_seeds=tuple(games))
            if unit.id not in known:
                known[unit.id] = insight
                parent = before.get(insight.number, unit.id)
                units.append(unit if parent == unit.id else unit.model_copy(update={"parents": (parent,)}))
        born = max([self.born, *(insight.number for insight in insights)])
        return self.model_copy(update={"units": tuple(units), "insights": known, "born": born})


def reachable(queries: Iterable[Query], start: Sequence[str], hops: int) -> set[str]:
    """The trajectories that are at most so many edges away from one of these."""
    edges = {frozenset((query.trajectory, other)) for query in queries for other in query.neighbours}
    reached = set(start)
    for _ in range(hops):
        reached |= {end for edge in edges if edge & reached for end in edge}
    return reached


async def _relevance(seat: Seat, state: State, episode: Unit) -> int:
    """1 to 10, by the acting model; 0 where it gives no number."""
    asked = READING["relevance"].format(rules=state.rules, observation=state.observation, episode=episode.text)
    prompt = (Message("system", READING["task"]), Message("user", asked))
    sampling = Sampling(TEMPERATURE, max_tokens=ANSWER, seed=int(seat.rng.integers(2**31)))
    try:
        return (await structured(seat.model, prompt, Relevance, sampling)).score
    except Unusable:
        return 0
