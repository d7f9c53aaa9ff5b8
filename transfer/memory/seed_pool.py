"""Six general skills every learner starts from; our own wording, tied to no game."""

from __future__ import annotations

from agents.skill import Skill
from transfer.memory.pool import SkillPool

SEEDS = (
    Skill(
        name="Explore in order",
        activation="Little is known yet: the game has just begun, or nothing tried so far has given information.",
        procedure="1. List the kinds of moves that are allowed. 2. Try them in a fixed order, one new kind at a time. "
        "3. After each move, note what the reply says about it.",
        termination="A reply has singled out one move or pattern as better than the others.",
    ),
    Skill(
        name="Eliminate by feedback",
        activation="Replies have been received that say something about earlier moves.",
        procedure="1. Read the last reply and write down what it rules out. 2. Cross out every option that it "
        "contradicts. 3. Choose a move among those left that would split them most evenly.",
        termination="One option is left, or a reply brings no new information.",
    ),
    Skill(
        name="Never repeat a failed move",
        activation="A move was refused, lost something, or gave no progress.",
        procedure="1. Recall all earlier moves and their results. 2. Do not make a move again in the same situation "
        "if it failed there. 3. Take the most different allowed move instead.",
        termination="A new move has brought progress.",
    ),
    Skill(
        name="Keep all constraints",
        activation="Several rules or earlier replies restrict the next move at the same time.",
        procedure="1. List all restrictions that still hold. 2. Propose a move. 3. Check it against each restriction. "
        "4. If one is broken, change only the part that breaks it and check again.",
        termination="The move satisfies every restriction.",
    ),
    Skill(
        name="Use the best known option",
        activation="One option has clearly paid more than the others, or few moves are left.",
        procedure="1. Compare the results of all options tried. 2. Choose the one with the best result so far. "
        "3. Stay with it as long as it keeps paying.",
        termination="It pays less than before, or another option is shown to be better.",
    ),
    Skill(
        name="Plan ahead in the right format",
        activation="A goal is known and several moves are needed to reach it.",
        procedure="1. Say what must be true just before the goal is reached. 2. Work back to the present position. "
        "3. Make the first move of that plan, exactly in the format the rules ask for.",
        termination="The goal is reached, or a reply shows that the plan cannot work.",
    ),
)


def seed_pool(capacity: int = 10) -> SkillPool:
    """The seed skills, as many as fit (paper appendix: six seeds in a pool of ten)."""
    return SkillPool.of(SEEDS[:capacity], capacity)
