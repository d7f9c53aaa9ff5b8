"""Gates compared: which candidates each lets in whose true gain is known, and what a pool learned with it is worth.

Critic, aggregation and proposer are left out: a candidate is its parent with other numbers, for better or worse.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd

from agents.models.model import Likelihood, Utterance
from agents.models.scripted import ScriptedModel
from agents.skill import Skill
from analysis.statistics.bootstrap import Resampler
from analysis.statistics.estimates import SHARE_DIFFERENCE, mean_intervals
from analysis.statistics.rates import rate_interval
from analysis.statistics.sequential.e_processes import SymmetricTest
from testbed.bench.experiments.closed_forms import ClosedForm, policy_of, settings_of, skill_of
from testbed.bench.experiments.gates.calibration import collect, weighed
from transfer.gate.advantage import ADVANTAGES
from transfer.gate.race import Heat, tokens
from transfer.maintenance.rules import OverCapacity
from transfer.memory.experience import Segment, Trajectory
from transfer.memory.memory import Memory
from transfer.memory.pool import SkillPool
from transfer.nppo.aggregation import AggregateGradient
from transfer.nppo.algorithm import NPPO
from transfer.nppo.config import NPPOConfig, make_config
from transfer.nppo.gradient import Gradient
from transfer.nppo.proposal import EvolutionRequest, Proposals
from transfer.registry import LearnerModels, gate, race

LIKELIER = {"acceptance": "improvement", "advantage": "step-baseline"}

PAPER = "likelihood: J > 0 (paper)"

COMPARED: Mapping[str, Mapping[str, Any]] = {
    "none": {"gate": "none"},
    PAPER: {},
    "likelihood: ΔJ > 0": LIKELIER,
    "likelihood: ΔJ > 2 s.e.": LIKELIER | {"acceptance": "confident-improvement", "margin": 2.0},
    "likelihood: ΔJ > 0, 48 games": LIKELIER | {"batch": 48},
    "race, 24 pairs": {"gate": "race"},
    "race, 96 pairs": {"gate": "race", "duel_pairs": 96},
    "likelihood+race, 24 pairs": LIKELIER | {"gate": "likelihood+race"},
    "likelihood+race, 96 pairs": LIKELIER | {"gate": "likelihood+race", "duel_pairs": 96},
}
"""Choices of each gate, as in a study."""

WORTH = 0.05
"""Gain in return from which on a candidate is worth having."""
LEVEL = 0.95
"""Of all intervals of one table together (Bonferroni)."""
BUFFERED = 12
"""Episodes of a parent of which a gate is shown the best and the worst, where it is not shown more."""


class CountedModel(ScriptedModel):
    """A scripted player that counts the tokens of what it was asked to score, each prompt as if nothing were cached."""

    scored = 0

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        self.scored += sum(self.count(message.content) for each in utterances for message in each.messages)
        return await super().score(utterances)


@dataclass
class Arena:
    """Plays a form's games: each of a skill and a seed once, with the same moves whoever asks; counts what is new."""

    form: ClosedForm
    seed: int
    channel: Callable[[Trajectory, np.random.Generator], Trajectory] | None = None
    """What becomes of the rewards that a game pays; None: they are told as they are."""
    model: CountedModel = field(init=False)
    played: dict[tuple[str, int], Trajectory] = field(default_factory=dict[tuple[str, int], Trajectory])
    asked: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    budget: float = np.inf
    """Tokens after which nothing is played any more."""

    def __post_init__(self) -> None:
        self.model = CountedModel(self.form.environment, policy_of(self.form))

    async def __call__(
        self, memory: Memory | None, env_seeds: Sequence[int], /, *, paired: bool = False
    ) -> list[Trajectory]:
        """As `Play`, with a pool of one skill; all games are paired."""
        assert isinstance(memory, SkillPool)
        (skill,) = memory.each()
        out: list[Trajectory] = []
        for env_seed in env_seeds:
            if self.spent >= self.budget:
                break
            out.append(await self.one(skill, env_seed))
        return out

    async def one(self, skill: Skill, env_seed: int) -> Trajectory:
        key = skill.id, env_seed
        self.asked.add(key)
        if key not in self.played:
            rng = np.random.default_rng([self.seed, env_seed])
            (played,) = await collect(self.model, self.form.environment, skill, env_seeds=[env_seed], rng=rng)
            luck = np.random.default_rng([self.seed, env_seed, crc32(skill.id.encode())])
            self.played[key] = played if self.channel is None else self.channel(played, luck)
        return self.played[key]

    @property
    def spent(self) -> int:
        return self.model.scored + sum(tokens(self.played[key]) for key in self.asked)

    def settle(self) -> int:
        """What was spent since the last time; what was played stays known."""
        spent, self.model.scored = self.spent, 0
        self.asked.clear()
        return spent


class Decision(NamedTuple):
    e_greater: float
    lower: float
    upper: float


@dataclass
class QuickProcess:
    """Admits exactly as the symmetric test does, and drops what has rejected a gain of 0 from below.

    A study drops it once its confidence sequence excludes every larger gain, too, which is seldom later; to look for
    the sequence's ends after every pair would take most of the time here.
    """

    level: float
    values: list[float] = field(default_factory=list[float])

    def add(self, value: float, /) -> Decision:
        self.values.append(value)
        up, down = SymmetricTest().log_wealth(np.array(self.values), np.zeros(()))
        peak = float((np.logaddexp(up, down) - np.log(2)).max())
        worse = peak >= -np.log(self.level) and np.mean(self.values) < 0
        return Decision(float(np.exp(up[-1])), -np.inf, -1e-9 if worse else np.inf)


def parts(model: ScriptedModel) -> LearnerModels:
    tests = {"symmetric": lambda task, level: QuickProcess(level)}
    return LearnerModels(model, model, Apart(), temperature=1.0, duel_tests=tests)


class Apart:
    """An embedder to which no two texts are alike: candidates differ in numbers alone."""

    def embed(self, texts: Sequence[str]) -> Any:
        return np.eye(len(texts), dtype=np.float32)


async def judge_all(
    form: ClosedForm,
    compared: Mapping[str, Mapping[str, Any]] = COMPARED,
    *,
    parents: int,
    candidates: int = 3,
    seeds: np.random.SeedSequence,
    channel: Callable[[Trajectory, np.random.Generator], Trajectory] | None = None,
) -> pd.DataFrame:
    """Every gate on the same random parents and candidates, each candidate by itself.

    One row per gate and candidate: parent (cluster), gate, true_gain, admitted, tokens (of judging it: games played,
    prompts scored; what the parent played for all its candidates in equal shares).
    """
    rows: list[dict[str, Any]] = []
    for index, child in enumerate(seeds.spawn(parents)):
        rng = np.random.default_rng(child)
        arena = Arena(form, int(rng.integers(2**31)), channel)
        parent = skill_of(form.draw(rng))
        most = max(BUFFERED, *(make_config("paper", changes).batch for changes in compared.values()))
        played = [await arena.one(parent, int(seed)) for seed in rng.integers(2**31, size=most)]
        drawn = [skill_of(form.vary(settings_of(parent), rng), parent) for _ in range(candidates)]
        true = {each.id: form.true_return(settings_of(each)) for each in (parent, *drawn)}
        games = int(rng.integers(2**31))
        for name, changes in compared.items():
            arena.settle()
            choices, minds = make_config("paper", changes), parts(arena.model)
            advantage = ADVANTAGES[choices.advantage](choices.gamma)
            evidence = weighed(played[: max(BUFFERED, choices.batch)], parent, advantage, choices.batch)
            verdicts = await gate(minds, choices).judge(parent, drawn, evidence)
            racer, outcomes = race(minds, choices), list[str]()
            for skill, verdict in zip(drawn, verdicts, strict=True):
                heat = Heat(parent, [skill], [verdict], form.environment, 1, 0, np.random.default_rng(games))
                outcomes.append((await racer.decide(heat, arena)).verdicts[0].outcome)
            cost = arena.settle() / candidates
            for skill, outcome in zip(drawn, outcomes, strict=True):
                row = {"parent": index, "gate": name, "true_gain": true[skill.id] - true[parent.id]}
                rows.append(row | {"admitted": outcome == "accepted", "tokens": cost})
    return pd.DataFrame(rows)


def rates(judged: pd.DataFrame, *, worth: float = WORTH) -> pd.DataFrame:
    """Per gate: share admitted of candidates that gain at least `worth`, that gain at all, and that do not; 95 %.

    Intervals are over parents.
    """
    kinds = {
        f"gain ≥ {worth:g}": judged["true_gain"] >= worth,
        "gain > 0": judged["true_gain"] > 0,
        "gain ≤ 0": judged["true_gain"] <= 0,
    }
    rows: list[dict[str, Any]] = []
    for name, group in judged.groupby("gate", sort=False):
        row: dict[str, Any] = {"gate": name, "tokens": group["tokens"].mean()}
        for kind, mask in kinds.items():
            found = _rate(group[mask[group.index]])
            row |= {kind if not name else f"{kind}: {name}": value for name, value in found.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _rate(candidates: pd.DataFrame) -> dict[str, float]:
    """The share admitted (""), its bounds, and how many candidates; NaN of none."""
    by_parent = candidates.groupby("parent")["admitted"].agg(["sum", "count"])
    if by_parent.empty:
        return {"": np.nan, "low": np.nan, "high": np.nan, "n": 0}
    passed, count = by_parent["sum"].to_numpy(float), by_parent["count"].to_numpy(float)
    low, high = rate_interval(passed[None], count[None])
    return {
        "": float(passed.sum() / count.sum()),
        "low": float(low[0]),
        "high": float(high[0]),
        "n": int(count.sum()),
    }


def admitted(row: Mapping[Hashable, Any] | Mapping[str, Any], kind: str) -> str:
    """A share of `rates` in words."""
    if not row[f"{kind}: n"]:
        return "—"
    return f"{row[kind]:.2f} ({row[f'{kind}: low']:.2f} to {row[f'{kind}: high']:.2f})"


def kinds(table: pd.DataFrame) -> list[str]:
    """The kinds of candidates whose shares a table of `rates` has."""
    return [str(name).removesuffix(": n") for name in table if str(name).endswith(": n")]


def against(
    judged: pd.DataFrame, reference: str, by: Sequence[str] = ("gate",), *, worth: float = WORTH
) -> pd.DataFrame:
    """What each gate admits more than the reference does, of the same candidates that gain at least `worth`.

    One row per other gate (or combination of `by`, whose last column is the gate): gain, low, high (95 % together,
    over parents, each weighing the same), parents. Empty where no candidate gains so much.
    """
    worthy = judged[judged["true_gain"] >= worth].astype({"admitted": float})
    shares = worthy.pivot_table(index="parent", columns=list(by), values="admitted", aggfunc="mean", sort=False)
    names: list[tuple[str, ...]] = [name if isinstance(name, tuple) else (str(name),) for name in shares.columns]
    places = {name: place for place, name in enumerate(names)}
    others = [name for name in names if name[-1] != reference and (*name[:-1], reference) in places]
    if not others:
        return pd.DataFrame(columns=[*by, "gain", "low", "high", "parents"])
    table = shares.to_numpy(float).T
    gains = np.stack([table[places[name]] - table[places[*name[:-1], reference]] for name in others])
    level = 1 - (1 - LEVEL) / len(others)
    found = mean_intervals(gains, Resampler(np.random.default_rng(0), level=level), SHARE_DIFFERENCE)
    return pd.DataFrame(
        {**dict(zip(by, name, strict=True)), "gain": each.estimate, "low": each.low, "high": each.high,
         "parents": each.clusters}
        for name, each in zip(others, found, strict=True)
    )  # fmt: skip


@dataclass(frozen=True)
class Untold:
    """In place of the critic: says nothing."""

    async def __call__(self, skill: Skill | None, spans: Sequence[Segment], baseline: float, seed: int) -> Gradient:
        return Gradient(spans[0].trajectory.id, spans[0].trajectory.total, "", True)


async def nothing_in_common(skill: Skill | None, gradients: Sequence[Gradient], seed: int) -> AggregateGradient:
    """In place of the aggregation."""
    return AggregateGradient(activation="", procedure="", termination="")


@dataclass(frozen=True)
class Vary:
    """In place of the proposer: the parent with other numbers."""

    form: ClosedForm

    async def __call__(self, batch: EvolutionRequest, seeds: Sequence[int]) -> Proposals:
        assert batch.parent is not None
        known = settings_of(batch.parent)
        drawn = [self.form.vary(known, np.random.default_rng(seed)) for seed in seeds]
        return Proposals(skills=tuple(skill_of(each, batch.parent) for each in drawn))


async def learn_all(
    form: ClosedForm,
    compared: Mapping[str, Mapping[str, Any]] = COMPARED,
    *,
    runs: int,
    episodes: int = 240,
    seeds: np.random.SeedSequence,
) -> pd.DataFrame:
    """Learning from one random skill with each gate, at as many tokens as `episodes` games of that skill take.

    One row per gate and learning run: run (cluster, with the same first skill for all gates), gate, first (true return
    of the first skill), best (of the pool's skill with the best online score), mean (of all its skills), admitted.
    """
    rows: list[dict[str, Any]] = []
    for run, child in enumerate(seeds.spawn(runs)):
        for name, changes in compared.items():
            rng = np.random.default_rng(child)
            found = await _learn(form, make_config("paper", changes), rng, child, episodes)
            rows.append({"run": run, "gate": name, **found})
    return pd.DataFrame(rows)


async def _learn(
    form: ClosedForm, choices: NPPOConfig, rng: np.random.Generator, seeds: np.random.SeedSequence, episodes: int
) -> dict[str, float]:
    arena = Arena(form, int(rng.integers(2**31)))
    minds = parts(arena.model)
    learner = NPPO(
        critic=Untold(),
        aggregation=nothing_in_common,
        proposer=Vary(form),
        gate=gate(minds, choices),
        race=race(minds, choices),
        embedder=Apart(),
        seeds=seeds,
        advantage=ADVANTAGES[choices.advantage](choices.gamma),
        maintenance=OverCapacity(),
        batch=choices.batch,
    )
    first = skill_of(form.draw(rng))
    state, archive, admitted = learner.begin(SkillPool.of([first], 4)), dict[str, Trajectory](), 0
    while arena.spent < arena.budget:
        turns = islice(cycle(state.pool.each()), BUFFERED)
        fresh = [await arena.one(skill, int(rng.integers(2**31))) for skill in turns]
        if not state.iteration:
            arena.budget = arena.spent * episodes / BUFFERED
        archive |= {each.id: each for each in fresh}
        state, events = await learner.iterate(state, fresh, archive.__getitem__, arena)
        admitted += sum(event.kind == "admitted" for event in events)
    true = {skill.id: form.true_return(settings_of(skill)) for skill in (first, *state.pool.each())}
    held = list(state.pool.ids)
    best = max(held, key=lambda id: (state.score(id).value if state.score(id).n else -np.inf, id))
    mean = float(np.mean([true[id] for id in held]))
    return {"first": true[first.id], "best": true[best], "mean": mean, "admitted": float(admitted)}
