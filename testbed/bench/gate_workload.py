"""What a gate has to score: every action of some Mastermind games, under the old skill and its candidates."""

from __future__ import annotations

import numpy as np

from agents.models.model import Utterance
from agents.prompts import PastTurn, conversation, skill_text
from agents.skill import Skill
from environments.grammar import Grammar
from environments.registry import ENVIRONMENTS
from environments.sampling import sample

_OLD = Skill(
    name="Eliminate by feedback",
    activation="Pegs have been shown for at least one guess.",
    procedure="1. Read the pegs of the last guess. 2. Cross out all codes they rule out. 3. Guess a code that is left.",
    termination="One code is left.",
)
_CHANGES = (
    "4. Before guessing, check the code against every earlier guess, the oldest first. 5. Never guess a code twice.",
    "4. With four pegs in all, only reorder the digits. 5. With three or fewer, bring in a digit not tried yet.",
    "4. Move a digit that earned a white peg to a place where it has not stood. 5. Keep digits with black pegs fixed.",
)
SKILLS = (_OLD, *(_OLD.model_copy(update={"procedure": f"{_OLD.procedure} {change}"}) for change in _CHANGES))
"""The old skill and three candidates that refine it."""


def utterances(trajectories: int = 3, steps: int = 20, *, policy: bool = False, seed: int = 0) -> list[Utterance]:
    """`len(SKILLS)` × `trajectories` × `steps` utterances, in the order in which a gate meets them.

    The games are real Mastermind-v0 games with random legal guesses, replayed from `seed`. With `policy` each action
    is scored under its grammar at temperature 0.6, as the acting policy drew it, else by the raw model.
    """
    rng = np.random.default_rng(seed)
    games = [_game(rng, steps) for _ in range(trajectories)]
    return [
        Utterance(
            conversation(rules, skill_text(skill), turns[:step], turns[step][0]),
            turns[step][1],
            grammar if policy else None,
            0.6 if policy else 1.0,
        )
        for skill in SKILLS
        for rules, grammar, turns in games
        for step in range(steps)
    ]


def _game(rng: np.random.Generator, steps: int) -> tuple[str, Grammar, list[PastTurn]]:
    """Rules, grammar and turns of one game that lasted at least `steps` moves."""
    spec = ENVIRONMENTS["Mastermind-v0"]
    while True:
        env = spec.make()
        env.reset(seed=int(rng.integers(2**31)))
        rules, turns = "", list[PastTurn]()
        for _ in env.agent_iter():
            observation, _, terminated, truncated, info = env.last()
            if terminated or truncated or len(turns) == steps:
                break
            rules = info["rules"]
            guess = _new(spec.grammar, rng, {action for _, action in turns})
            turns.append(((observation or {"text": ""})["text"], guess))
            env.step(guess)
        env.close()
        if len(turns) == steps:
            return rules, spec.grammar, turns


def _new(grammar: Grammar, rng: np.random.Generator, tried: set[str]) -> str:
    while (guess := sample(grammar, rng)) in tried:
        pass
    return guess
