"""Gates compared: which candidates each lets in whose true gain is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd

from agents.models.model import Likelihood, Utterance
from agents.models.scripted import ScriptedModel
from agents.skill import Skill
from analysis.statistics.sequential.e_processes import SymmetricTest
from testbed.bench.experiments.closed_forms import ClosedForm, policy_of, settings_of, skill_of
from testbed.bench.experiments.gates.calibration import collect, weighed
from transfer.gate.advantage import ADVANTAGES
from transfer.gate.race import Heat, tokens
from transfer.memory.experience import Trajectory
from transfer.memory.memory import Memory
from transfer.memory.pool import SkillPool
from transfer.nppo.config import make_config
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
