"""Four of PettingZoo's classic games (https://pettingzoo.farama.org/environments/classic/), by their text views.

They need the extra "classic": PettingZoo's modules import pygame, and its card games RLCard.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from environments.games.game import MissingData
from environments.spec import EnvSpec
from environments.worlds.text_view.view import TextView
from environments.worlds.text_view.worlds import aec_world

EXTRA = "procmem[classic]"
CELLS = tuple(f"{column}{row}" for column in "abc" for row in (1, 2, 3))
"""PettingZoo numbers the cells down the columns."""
RANKS = ("A", *map(str, range(2, 11)), "J", "Q", "K")
CARDS = tuple(f"{rank}{suit}" for suit in "shdc" for rank in RANKS)
ROUNDS = ("before the flop", "on the flop", "on the turn", "on the river")
BETS = ("call", "raise", "fold", "check")


def _classic(id: str, name: str) -> Any:
    """A fresh environment of PettingZoo's classic ones. Raises MissingData where the extra is not installed."""
    import pettingzoo
    from pettingzoo.env_registry.exceptions import FailedToImport

    try:
        return pettingzoo.make("aec", f"classic/{name}")
    except FailedToImport as error:
        raise MissingData(
            f"{id} needs a package that is not here ({error.__cause__}): pip install '{EXTRA}'"
        ) from error


def _grid(planes: Any) -> list[list[str]]:
    """The seat's own pieces as X, the opponent's as O: `planes` has shape (rows, columns, 2), own pieces first."""
    return [["X" if own else "O" if other else "." for own, other in row] for row in np.asarray(planes)]


def tic_tac_toe(planes: Any, seat: int) -> str:
    rows = zip(*_grid(planes), strict=True)  # the planes' first axis is the column
    return "\n".join(["  a b c", *(f"{number} {' '.join(row)}" for number, row in enumerate(rows, start=1))])


def connect_four(planes: Any, seat: int) -> str:
    return "\n".join(["1 2 3 4 5 6 7", *map(" ".join, _grid(planes))])


def leduc(state: Any, seat: int) -> str:
    """`state` has 36 flags: own card, public card (J, Q, K), chips of one's own and of the opponent (0 to 14)."""
    own, public, mine, theirs = np.split(np.asarray(state), (3, 6, 21))
    table = f"the public card is {'JQK'[int(public.argmax())]}" if public.any() else "the public card is still hidden"
    return (
        f"Your card is {'JQK'[int(own.argmax())]}; {table}. "
        f"Chips in the pot: {int(mine.argmax())} of yours, {int(theirs.argmax())} of your opponent's."
    )


def texas(state: Any, seat: int) -> str:
    """`state` has 52 flags of cards in sight (one's own and the table's), then 5 for the raises of each round."""
    flags = np.asarray(state).astype(bool)
    cards = [card for card, seen in zip(CARDS, flags[:52], strict=True) if seen]
    raises = flags[52:].reshape(4, 5).argmax(axis=1)
    table = max(0, len(cards) - 2)
    current = ROUNDS[max(0, table - 2)]
    where = f"your hand and {table} on the table" if table else "your hand"
    told = ", ".join(f"{number} {name}" for number, name in zip(raises, ROUNDS, strict=True) if number)
    return f"We are {current}. Cards ({where}): {' '.join(cards)}. Raises so far: {told or 'none'}."


_TURNS = (
    "You and an opponent take turns. Your pieces are shown as X, your opponent's as O, free places as a dot. "
    "A win pays 1, a loss -1, a draw 0."
)
_BETTING = (
    "Call matches the other's chips, fold gives up the pot. The winner is paid half a point for each chip won, and the "
    "loser loses as much."
)
TIC_TAC_TOE = TextView(
    "Tic-tac-toe on three columns (a, b, c) and three rows (1, 2, 3): whoever first has three in a row, in a column or "
    f"on a diagonal wins. {_TURNS}",
    CELLS,
    tic_tac_toe,
)
CONNECT_FOUR = TextView(
    "Connect four: a piece dropped into one of seven columns falls to the lowest free of six places; whoever first has "
    f"four in a row, in a column or on a diagonal wins. {_TURNS}",
    tuple("1234567"),
    connect_four,
)
LEDUC = TextView(
    "Leduc hold'em, a small poker for two. The deck has two jacks, two queens and two kings. Each player holds one "
    "card; one player starts with 1 chip in the pot, the other with 2. There are two rounds of bets, and between them "
    "one public card is shown. A raise adds 2 chips in the first round and 4 in the second; a round has at most two "
    "raises. At the end a card that pairs with the public card wins, otherwise the higher card; equal cards share the "
    f"pot. {_BETTING}",
    BETS,
    leduc,
    solved=lambda total, ended: total > 0,
)
TEXAS = TextView(
    "Limit Texas hold'em for two. Each player is dealt two cards; one starts with 1 chip in the pot, the other with 2. "
    "There are four rounds of bets: before the flop, then with three, with four, and with five cards on the table. A "
    "raise adds 2 chips in the first two rounds and 4 in the last two; a round has at most four raises. At the end the "
    "best five of one's own two cards and the table's five win; equal hands share the pot. Cards are written as rank "
    "and suit: As is the ace of spades, 10h the ten of hearts, Qd the queen of diamonds, 2c the two of clubs. The two "
    f"that you see before the flop are your own. {_BETTING}",
    BETS,
    texas,
    solved=lambda total, ended: total > 0,
)


def _world(id: str, name: str, view: TextView, **facts: Any) -> EnvSpec:
    make: Callable[[], Any] = partial(_classic, id, name)
    return aec_world(id, make, view, seats=2, needs=EXTRA, **facts)


CLASSIC: tuple[EnvSpec, ...] = (
    _world(
        "PettingZoo-TicTacToe-v3", "tictactoe-v3", TIC_TAC_TOE, horizon=10, reward_range=(-1.0, 1.0), seeded=False,
        summary="Tic-tac-toe, told from one's own side.",
    ),
    _world(
        "PettingZoo-ConnectFour-v3", "connect_four-v3", CONNECT_FOUR, horizon=42, reward_range=(-1.0, 1.0),
        seeded=False, summary="Connect four, told from one's own side.",
    ),
    _world(
        "PettingZoo-LeducHoldem-v4", "leduc_holdem-v4", LEDUC, horizon=8, reward_range=(-7.0, 7.0),
        summary="One hand of Leduc hold'em: six cards, two rounds of bets.",
    ),
    _world(
        "PettingZoo-TexasHoldem-v4", "texas_holdem-v4", TEXAS, horizon=24, reward_range=(-25.0, 25.0),
        summary="One hand of limit Texas hold'em: four rounds of bets.",
    ),
)  # fmt: skip
