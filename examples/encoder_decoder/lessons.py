"""What is taught: the prompt of one decision in a game of doors, as acting agents see it, and the move that obeys it.

Where the prompt holds no skill, or one that names no door, every door is as good as another, and the move is drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from wordings import HELD_OUT_GAMES, LEARNED, PLACES, Manner, wording

from agents.models.model import Message
from agents.prompts import conversation, skill_text
from agents.skill import Skill
from environments.diagnostics.doors import COLOURS, SIGNS, Doors

KINDS = {"no skill": 0.15, "general": 0.2, "one door": 0.65}
"""Kinds of lessons, and how often each is drawn."""
LATER = 0.5
"""Share of decisions that are not the first of their game."""


class Lesson(NamedTuple):
    messages: tuple[Message, ...]
    move: str
    """What obeys, in brackets."""


def lesson(
    rng: np.random.Generator, kind: str, manner: Manner = LEARNED, *, reworded: bool = False, later: float = LATER
) -> Lesson:
    """One decision, after none to all but one of the game's rounds; what was done in these obeys or is drawn.

    With `reworded` the game is told in the words that are kept from training.
    """
    signed = rng.random() < 0.2
    told = HELD_OUT_GAMES[signed] if reworded else wording(rng, signed=signed)
    skill, order = _skill(rng, kind, manner, str(rng.choice(PLACES)))
    rule = _doors(rng)
    game = Doors(lambda _: rule, told, late=not signed)
    (rules,), turn = game.begin(int(rng.integers(2**31)))
    seen, moves = [turn.notes[0][0].text], list[str]()
    attentive = rng.random() < 0.5

    def obeying() -> str:
        return f"[{order or rng.choice(COLOURS)}]"

    for _ in range(int(rng.integers(1, game.rounds)) if rng.random() < later else 0):
        moves.append(obeying() if attentive else f"[{rng.choice(COLOURS)}]")
        seen.append(game.play(moves[-1]).notes[0][0].text)
    memory = "" if skill is None else skill_text(skill)
    return Lesson(conversation(rules, memory, list(zip(seen, moves, strict=False)), seen[-1]), obeying())


def drawn(rng: np.random.Generator, later: float = LATER) -> Lesson:
    """A lesson of any kind, to be trained on."""
    return lesson(rng, str(rng.choice(list(KINDS), p=list(KINDS.values()))), later=later)


def skill_alone(rng: np.random.Generator) -> Lesson:
    """A skill and nothing else: the shortest prompt from which to obey can be learned."""
    skill, order = _skill(rng, "one door", LEARNED, str(rng.choice(PLACES)))
    assert skill is not None
    return Lesson((Message("system", skill_text(skill)), Message("user", "Your answer?")), f"[{order}]")


def _doors(rng: np.random.Generator) -> dict[str, str]:
    """A door for each sign: one to one, or any."""
    chosen = rng.permutation(COLOURS) if rng.random() < 0.5 else rng.choice(COLOURS, size=len(SIGNS))
    return dict(zip(SIGNS, map(str, chosen), strict=True))


def _skill(rng: np.random.Generator, kind: str, manner: Manner, place: str) -> tuple[Skill | None, str | None]:
    """A skill, and the door that it names."""
    if kind == "no skill":
        return None, None
    if kind == "general":
        texts = manner.general[int(rng.integers(len(manner.general)))]
        name, activation, procedure, termination = (text.format(place=place) for text in texts)
        return Skill(name=name, activation=activation, procedure=procedure, termination=termination), None
    colour, wrong = map(str, rng.permutation(COLOURS)[:2])
    parts = (manner.names, manner.activations, manner.orders, manner.terminations)
    name, activation, procedure, termination = (
        _sentence(str(rng.choice(part)).format(colour=colour, wrong=wrong, place=place)) for part in parts
    )
    return Skill(name=name, activation=activation, procedure=procedure, termination=termination), colour


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
