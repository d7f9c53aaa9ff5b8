"""The racing gate: parent and candidate play the same games until a test that may be looked at any time has decided.

The likelihood gate asks of old trajectories what a candidate would do; a duel asks what it does earn. Its games are
charged to the learning budget. The test itself is handed in: whoever makes a learner knows the range of the returns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from agents.skill import Skill
from transfer.gate.gate import Outcome, Verdict
from transfer.memory.events.evolution import Duelled
from transfer.memory.experience import Trajectory
from transfer.memory.learner import Play, unplayable
from transfer.memory.memory import Memory
from transfer.memory.pool import SkillPool


class Evidence(Protocol):
    """What the differences of a duel so far are worth, whenever one looks."""

    @property
    def e_greater(self) -> float:
        """Against "the candidate is no better": the chance that it ever reaches 1/α is at most α if that is so."""
        ...

    @property
    def lower(self) -> float:
        """Confidence sequence of the gain in return; ±∞ where nothing is known yet."""
        ...

    @property
    def upper(self) -> float: ...


class Process(Protocol):
    """One duel's test, which takes the paired differences (candidate − parent, in units of return) as they come."""

    def add(self, value: float, /) -> Evidence: ...


TestOf = Callable[[str, float], Process]
"""A fresh test for a duel on a task, by its name, at level α."""


class Entry(Protocol):
    """Who races, and in which order: indices of the candidates, from what a gate has found out about them before."""

    def __call__(self, verdicts: Sequence[Verdict], screen: float) -> list[int]: ...


def everyone(verdicts: Sequence[Verdict], screen: float) -> list[int]:
    """All candidates as they were proposed."""
    return list(range(len(verdicts)))


def likeliest(verdicts: Sequence[Verdict], screen: float) -> list[int]:
    """By ΔJ, the greatest first and those without one last; without those for whom ΔJ + screen · s.e. < 0."""
    kept = [index for index, each in enumerate(verdicts) if not _hopeless(each, screen)]
    changes = {index: verdicts[index].change for index in kept}
    return sorted(kept, key=lambda index: (changes[index] is None, -(changes[index] or 0.0), index))


def _hopeless(verdict: Verdict, screen: float) -> bool:
    if verdict.change is None or verdict.stderr is None:
        return False
    return verdict.change + screen * verdict.stderr < 0


ENTRIES: Mapping[str, Entry] = {"race": everyone, "likelihood+race": likeliest}
"""By the name of the gate that ends in a race."""


@dataclass
class Corner:
    """One side of duels: a memory, and what it has played so far, by environment seed."""

    memory: Memory | None
    played: dict[int, Trajectory] = field(default_factory=dict[int, Trajectory])

    async def play(self, env_seeds: Sequence[int], play: Play) -> list[Trajectory]:
        """Play those of the games that it has not played; gives what was played now."""
        fresh = [seed for seed in env_seeds if seed not in self.played]
        found = await play(self.memory, fresh, paired=True) if fresh else []
        self.played |= {trajectory.env_seed: trajectory for trajectory in found if math.isfinite(trajectory.total)}
        return found


class RaceResult(NamedTuple):
    verdicts: list[Verdict]
    """One per candidate, in the order of the candidates."""
    duels: list[Duelled]
    episodes: int
    """Played on request."""


@dataclass(frozen=True)
class Heat:
    """One parent's candidates at the start of a race."""

    parent: Skill
    candidates: Sequence[Skill]
    verdicts: Sequence[Verdict]
    """What a gate has found out about them."""
    task: str
    capacity: int
    """Of the pool."""
    iteration: int
    rng: np.random.Generator
    """Draws the games."""


class Decider(Protocol):
    """Turns a gate's verdicts into the last word on each candidate."""

    async def decide(self, heat: Heat, play: Play = unplayable) -> RaceResult: ...


@dataclass(frozen=True)
class NoRace:
    """The gate's verdicts stand."""

    async def decide(self, heat: Heat, play: Play = unplayable) -> RaceResult:
        return RaceResult(list(heat.verdicts), [], 0)


@dataclass(frozen=True)
class Race:
    """Duels one after another until a candidate is admitted.

    The parent's games are played once for all of them. A candidate therefore meets a parent that has kept others out:
    what this selects is parents that did well, which makes an admission rarer, never likelier.
    """

    test_of: TestOf
    entry: Entry = everyone
    level: float = 0.05
    """α: admit when the e-value reaches 1/α."""
    margin: float = 0.0
    """In units of return: a candidate whose gain is surely smaller is dropped."""
    pairs: int = 24
    """Most pairs of a duel."""
    look: int = 2
    """Pairs that are played at once; the test is looked at after them."""
    screen: float = 2.0
    """Standard errors that ΔJ must lie below 0 for a candidate to be turned away unheard."""
    against_parent: bool = True
    """Else against playing without any skill."""

    async def decide(self, heat: Heat, play: Play = unplayable) -> RaceResult:
        home = Corner(SkillPool.of([heat.parent], heat.capacity) if self.against_parent else None)
        games = [2 * int(seed) for seed in heat.rng.integers(2**30, size=self.pairs)]  # even: none that evaluates
        final, duels = list(heat.verdicts), list[Duelled]()
        entered = self.entry(heat.verdicts, self.screen)
        for index, verdict in enumerate(heat.verdicts):
            if index not in entered:
                why = f"does not race: ΔJ {verdict.change:+.3g} is surely below 0"
                final[index] = verdict.model_copy(update={"outcome": "rejected", "why": why})
        for index in entered:
            won = any(duel.outcome == "accepted" for duel in duels)
            if won:
                update = {"outcome": "undecided", "why": "did not race: another was admitted before its turn"}
            else:
                duel = await self._duel(heat, heat.candidates[index], home, games, play)
                duels.append(duel)
                update = {"outcome": duel.outcome, "why": duel.why}
            final[index] = heat.verdicts[index].model_copy(update=update)
        return RaceResult(final, duels, sum(duel.episodes for duel in duels))

    async def _duel(self, heat: Heat, candidate: Skill, home: Corner, env_seeds: Sequence[int], play: Play) -> Duelled:
        away = Corner(SkillPool.of([candidate], heat.capacity))
        process = self.test_of(heat.task, self.level)
        fresh, games, differences = list[Trajectory](), list[int](), list[float]()
        found: Evidence = NOTHING_YET
        outcome: Outcome | None = None
        for start in range(0, len(env_seeds), self.look):
            batch = env_seeds[start : start + self.look]
            fresh += await home.play(batch, play)
            met = [seed for seed in batch if seed in home.played]
            fresh += await away.play(met, play)
            paired = [seed for seed in met if seed in away.played]
            for seed in paired:
                games.append(seed)
                differences.append(away.played[seed].total - home.played[seed].total)
                found = process.add(differences[-1])
                outcome = verdict_of(found, self.level, self.margin)
                if outcome is not None:
                    break
            if outcome is not None or not paired:
                break
        return Duelled(
            iteration=heat.iteration,
            skill=candidate.id,
            parents=(heat.parent.id,) if self.against_parent else (),
            trajectories=tuple(side.played[seed].id for seed in games for side in (home, away)),
            env_seeds=tuple(games),
            differences=tuple(differences),
            e_value=found.e_greater,
            low=_finite(found.lower),
            high=_finite(found.upper),
            level=self.level,
            margin=self.margin,
            outcome=outcome or "undecided",
            why=self._why(outcome, found, len(games)),
            episodes=len(fresh),
            tokens=sum(map(tokens, fresh)),
        )

    def _why(self, outcome: Outcome | None, found: Evidence, pairs: int) -> str:
        if not pairs:
            return "duel: no games could be played"
        said = {
            "accepted": f"e = {found.e_greater:.3g} ≥ {1 / self.level:.3g}",
            "rejected": f"gain below {found.upper:.3g}, asked {self.margin:g}",
        }.get(outcome or "", f"e = {found.e_greater:.3g} < {1 / self.level:.3g}, its games are spent")
        return f"duel: {said}, after {pairs} pairs"


class _Nothing(NamedTuple):
    e_greater: float = 1.0
    lower: float = -math.inf
    upper: float = math.inf


NOTHING_YET = _Nothing()
"""Before the first pair."""


def verdict_of(found: Evidence, level: float, margin: float) -> Outcome | None:
    """The rule of a duel: admit at 1/α, drop what surely gains less than the margin; None while it goes on."""
    if found.e_greater >= 1 / level:
        return "accepted"
    return "rejected" if found.upper < margin else None


def tokens(trajectory: Trajectory) -> int:
    """All that playing it has cost in tokens, read and written."""
    return sum(
        step.prompt_tokens + step.completion_tokens + step.reading_prompt_tokens + step.reading_completion_tokens
        for step in trajectory.steps
    )


def _finite(bound: float) -> float | None:
    """None for a bound that is not there: no number of JSON is infinite."""
    return bound if math.isfinite(bound) else None
