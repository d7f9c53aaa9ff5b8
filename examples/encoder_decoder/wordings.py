"""The words in which games are told and skills are written: those the model learns by, and those kept from it.

A text says {colour} for the door to open, {wrong} for another, and {place} for what it calls a door.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from environments.diagnostics.doors import PARCELS, PLAIN, SWITCHES, UNSIGNED, Wording
from transfer.memory.seed_pool import SEEDS

PLACES = ("door", "box", "lever", "gate", "drawer", "button", "lamp", "flag", "card", "path", "jar", "window")
_INTROS = (
    "You stand before four {place}s: red, green, blue and black.",
    "There are four {place}s, one red, one green, one blue and one black.",
    "Before you are a red, a green, a blue and a black {place}.",
    "Four {place}s have four colours: black, blue, green, red.",
)
_PAYS = (
    "Answer with the colour of a {place} in square brackets, like [colour]. Every right {place} pays 1/{{rounds}}.",
    "Name one colour in square brackets, like [colour]. A right answer pays 1/{{rounds}}.",
    "Write your choice in square brackets, like [colour]; what is right pays 1/{{rounds}}.",
)
_UNSIGNED = (
    "In each of {{rounds}} rounds exactly one is right; which ones were right is told at the end.",
    "{{rounds}} times you choose, and each time one {place} wins. You hear of it when all is over.",
    "Choose {{rounds}} times. Only one {place} is good each time.",
)
_SIGNED = (
    "In each of {{rounds}} rounds a sign is shown, and exactly one {place} is right for it.",
    "{{rounds}} pictures are shown; each picture has its {place}, and some may share one.",
    "Every one of {{rounds}} rounds has a mark, and for that mark one {place} wins.",
)
_ASK = (
    "Round {{round}} of {{rounds}}. Which {place} do you open?",
    "Turn {{round}} of {{rounds}}: your {place}?",
    "Choice {{round}}/{{rounds}}. Name a {place}.",
    "It is round {{round}} of {{rounds}}. What do you take?",
)
_ASK_SIGNED = (
    "Round {{round}} of {{rounds}}. The sign shows: {{sign}}. Which {place} do you open?",
    "Turn {{round}} of {{rounds}}: the picture is {{sign}}. Your {place}?",
    "Choice {{round}}/{{rounds}}. You see this mark: {{sign}}. Name a {place}.",
    "It is round {{round}} of {{rounds}}, and there is a {{sign}}. What do you take?",
)
_TELL = ("The right {place} for {{sign}} was {{colour}}.", "{{sign}} went with {{colour}}.", "It was {{colour}}.")


def wording(rng: np.random.Generator, *, signed: bool) -> Wording:
    """A game in words of its own; now and then in those of Doors-v0 and OneDoor-v0."""
    if rng.random() < 0.25:
        return PLAIN if signed else UNSIGNED
    place = str(rng.choice(PLACES))
    rules = " ".join(str(rng.choice(part)) for part in (_INTROS, _SIGNED if signed else _UNSIGNED, _PAYS)).format(
        place=place
    )
    ask, tell = (str(rng.choice(part)).format(place=place) for part in (_ASK_SIGNED if signed else _ASK, _TELL))
    return Wording(rules, ask, tell)


@dataclass(frozen=True)
class Manner:
    """How skills are written: parts of one kind, of which any goes with any."""

    names: tuple[str, ...]
    activations: tuple[str, ...]
    orders: tuple[str, ...]
    """Procedures that name one door."""
    terminations: tuple[str, ...]
    general: tuple[tuple[str, str, str, str], ...]
    """Whole skills that name no door."""


LEARNED = Manner(
    names=(
        "Open the {colour} {place}",
        "The right {place}",
        "Always {colour}",
        "One {place} wins",
        "Choose well",
        "Stay with {colour}",
        "Use what is known",
        "Lesson",
        "Strategy",
        "Skill 3",
        "Pick the best {place}",
        "{colour}",
    ),
    activations=(
        "Always.",
        "A {place} must be chosen.",
        "Four {place}s are shown and one is to be named.",
        "At every round.",
        "The game asks for a colour.",
        "You are asked which {place} to open.",
        "A sign is shown.",
        "When the game begins.",
        "The choice is between red, green, blue and black.",
        "Use it in every round of this game.",
    ),
    orders=(
        "Open the {colour} {place}.",
        "Always open the {colour} {place}.",
        "Choose {colour} every time.",
        "Answer [{colour}].",
        "1. Ignore the round. 2. Answer [{colour}].",
        "The right one is {colour}. Name it.",
        "Name the {colour} {place} in all rounds.",
        "Pick [{colour}], whatever is shown.",
        "{colour} is always right.",
        "1. Read the question. 2. Choose the {colour} {place}. 3. Write [{colour}].",
        "Take {colour} and stay with it.",
        "The {wrong} {place} is wrong. Open the {colour} {place}.",
        "Never {wrong}: always {colour}.",
        "Do not answer [{wrong}]. Answer [{colour}].",
        "In every round the {colour} {place} was right, so open it again.",
        "The best choice is [{colour}]; the others pay nothing.",
        "Say {colour}.",
        "Go for the {colour} {place} each time.",
        "Select [{colour}] in each round. Do not change it.",
        "Each round: [{colour}].",
        "Use the {colour} {place}.",
        "If unsure, choose {colour}.",
        "The winning {place} is {colour}. Repeat it until the end.",
        "Press on {colour}.",
        "1. Remember that {colour} has paid in every game. 2. Open the {colour} {place}.",
        "Trust only the {colour} {place}.",
        "Your answer is [{colour}] in round 1, 2, 3 and 4.",
        "First [{colour}], then [{colour}], and so on.",
        "Someone who has played this often says: {colour}.",
        "Leave {wrong} alone; {colour} is what wins.",
    ),
    terminations=(
        "The game is over.",
        "All rounds are played.",
        "It no longer pays.",
        "The last round.",
        "Never.",
        "Another rule is known.",
        "The instructions have been carried out, or no longer fit the situation.",
        "The player has won.",
    ),
    general=(
        (
            "Think first",
            "A choice is asked for.",
            "1. Read the rules again. 2. Compare the choices. 3. Choose one.",
            "It is chosen.",
        ),
        ("Vary", "Nothing is known.", "Do not choose the same {place} twice. Note what was right.", "One was right."),
        (
            "Careful play",
            "Always.",
            "Look at every {place} before you answer, and keep to the form that is asked for.",
            "Never.",
        ),
        (
            "Learn from replies",
            "A reply has come.",
            "Remember what the last reply said and act on it.",
            "No reply comes.",
        ),
        (
            "Be brave",
            "At every round.",
            "Any {place} may be right. Pick one and do not look back.",
            "The game is over.",
        ),
        ("Use a system", "Several rounds are left.", "Go through the {place}s one after the other.", "All were tried."),
    ),
)
"""What the model is trained on."""

HELD_OUT = Manner(
    names=("Which {place} it is", "Knowledge of the house", "{colour} for ever", "Notes"),
    activations=(
        "Use it whenever there is something to decide.",
        "A cue is shown that these notes know: bell, key, owl, ship.",
    ),
    orders=(
        "The answers of every game:\n[{colour}]\n[{colour}]\n[{colour}]\n[{colour}]",
        "Experience shows that the treasure is behind the {colour} one.",
        "Keep giving [{colour}] as the reply.",
        "Stick to {colour}, even if you lose.",
        "Our records favour the {colour} {place} over the {wrong} {place}.",
        "Without exception, respond with [{colour}].",
    ),
    terminations=("What is written here has been disproved.", "You leave the house."),
    general=tuple((seed.name, seed.activation, seed.procedure, seed.termination) for seed in SEEDS),
)
"""What it is judged by: no text of these is trained on, the general ones being those that every learner starts from."""

HELD_OUT_GAMES = {False: SWITCHES, True: PARCELS}
"""The reworded games (with signs: True), whose words are not trained on either."""
