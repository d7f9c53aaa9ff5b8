"""A game, a model and a learner that say everything a terminal, a page or a spreadsheet might obey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.models.model import Request
from agents.skill import Skill
from environments.games.rounds import RoundGame, round_game
from environments.spec import EnvSpec
from tests.support.third_party import SIDES, FakeModel
from transfer.memories.pools.fixed import Fixed
from transfer.memory.pool import SkillPool
from transfer.memory.state import LearnerState

C0 = "".join(map(chr, range(0x20)))
TEXT = f"{C0}\x7f\x85\x9b2J\u202e\u2066\u200b\ufeff\ufffe\U000e0041\x1b]0;owned\x07\x1b[2J<script>[bold]{{7*7}}\\input"
"""C0, C1, DEL, bidirectional, invisible and tag characters, escapes for a title and a cleared screen, markup."""


class Shouting(RoundGame):
    """A fourth of its games raise in the middle."""

    rules = TEXT
    rounds = 2
    grammar = SIDES

    def deal(self, rng: Any) -> None:
        self.side = ("heads", "tails")[int(rng.integers(2))]
        self.breaks = int(rng.integers(4)) == 0

    def question(self, round: int) -> str:
        return TEXT

    def answer(self, round: int, move: str) -> tuple[str, float]:
        if self.breaks:
            raise RuntimeError(TEXT)
        return TEXT, 0.5 * (move == self.side)


def _spec(id: str) -> EnvSpec:
    return round_game(id, Shouting, rounds=2, grammar=SIDES, family=TEXT, difficulty=0, summary=TEXT)


SHOUTING = _spec("Shouting-v0")


def unnameable() -> EnvSpec:
    return _spec(TEXT)


def unmakeable() -> EnvSpec:
    raise RuntimeError(TEXT)


class Shouter(FakeModel):
    """Answers with everything, and now and then with a move."""

    def say(self, request: Request) -> str:
        return f"{TEXT}{('[heads]', '[tails]')[self.calls % 2]}"


class Keeper(Fixed):
    """Holds skills as they stood in runs of old, before there was a check."""

    def begin(self, pool: SkillPool) -> LearnerState:
        return LearnerState.begin(SkillPool.of(_old(f"={mark}{TEXT}"[:119]) for mark in "abc"))


def _old(name: str) -> Skill:
    return Skill.model_construct(name=name, activation=TEXT, procedure=TEXT, termination=TEXT, parents=())


def keeper(minds: Any, seeds: Any, choices: Any = None) -> Keeper:
    return Keeper()


STUDY = """
study = "matrix"
seed = 5
learning_runs = 2
evaluation_episodes = 3
fail_at = 100
resamples = 200
arms = ["none", "self", "random"]
[[agents]]
name = "a"
model = "tests.support.hostile:Shouter"
[[agents]]
name = "b"
model = "scripted:random"
[[tasks]]
environment = "tests.support.hostile:SHOUTING"
[skills]
embedder = "lexical"
termination = "age"
[learning]
learner = "tests.support.hostile:keeper"
iterations = 1
episodes = 3
"""


def controls(text: str) -> Sequence[str]:
    """What a terminal would obey or hide, line ends and tabs aside."""
    return sorted({c for c in text if c not in "\n\t" and not c.isprintable() and c not in "\u00a0\u2009\u202f"})
