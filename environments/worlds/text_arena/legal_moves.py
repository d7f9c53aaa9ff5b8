"""Legal moves, read off the public state of a TextArena game: one function a game.

Only what every seat sees is used (the board, moves already made), never what is hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from string import ascii_uppercase
from typing import Any

from environments.grammar import Choices, Grammar, Regex

LegalMoves = Callable[[Any], Grammar | None]
"""Reads the legal moves off a TextArena game; None where they cannot be listed or never change."""

TALK = r"[A-Za-z0-9 ,.!?]{1,120}"
"""A remark: no brackets, so that nothing said can be taken for a move."""
RESOURCE = "(Wheat|Wood|Sheep|Brick|Ore)"
OFFER = rf"\[Offer: [1-9] {RESOURCE} -> [1-9] {RESOURCE}\]"


def unknown(game: Any) -> Grammar | None:
    """The spec's grammar stands."""
    return None


def _choices(moves: Iterable[object]) -> Choices | None:
    options = tuple(f"[{move}]" for move in moves)
    return Choices(options) if options else None


def tic_tac_toe(game: Any) -> Grammar | None:
    board = game.state.game_state["board"]
    return _choices(row * 3 + column for row in range(3) for column in range(3) if not board[row][column])


def connect_four(game: Any) -> Grammar | None:
    top = game.state.game_state["board"][0]
    return _choices(f"col {column}" for column, disc in enumerate(top) if disc == ".")


def nim(game: Any) -> Grammar | None:
    piles = game.state.game_state["piles"]
    return _choices(f"{pile} {count}" for pile, size in enumerate(piles) for count in range(1, size + 1))


def kuhn_poker(game: Any) -> Grammar | None:
    return _choices(game.state.game_state["current_legal_action_tree"])


def liars_dice(game: Any) -> Grammar | None:
    """Bids above the last one that the dice on the table could meet (the game itself sets no upper limit)."""
    state = game.state.game_state
    dice = sum(state["remaining_dice"].values())
    quantity, face = state["current_bid"]["quantity"], state["current_bid"]["face_value"]
    bids = [
        f"Bid: {more}, {other}"
        for more in range(max(1, quantity), dice + 1)
        for other in range(max(1, face), 7)
        if (more, other) != (quantity, face)
    ]
    return _choices(bids if quantity == 0 else [*bids, "Call"])


def prisoners_dilemma(game: Any) -> Grammar | None:
    talking = game.state.game_state["phase"] == "conversation"
    return Regex(TALK) if talking else Choices(("[Cooperate]", "[Defect]"))


def negotiation(game: Any) -> Grammar | None:
    state, seat = game.state.game_state, game.state.current_player_id
    offer = state["current_offer"]
    if offer is None or offer["to_player"] != seat:
        return Regex(OFFER)
    held = state["player_resources"][seat]
    payable = all(held[name] >= count for name, count in offer["requested_resources"].items())
    return Regex(rf"(\[Accept\]|\[Deny\]|{OFFER})" if payable else rf"(\[Deny\]|{OFFER})")


def guess_the_number(game: Any) -> Grammar | None:
    numbers = range(game.min_number, game.max_number + 1)
    return _choices(number for number in numbers if number not in game.guessed_numbers)


def frozen_lake(game: Any) -> Grammar | None:
    row, column = game.state.game_state["player_pos"]
    return _choices(
        name
        for name, (down, right) in game.actions.items()
        if 0 <= row + down < game.size and 0 <= column + right < game.size
    )


def hangman(game: Any) -> Grammar | None:
    """Letters not tried yet. Whole words are legal too, but the game lets wrong ones pass for nothing, endlessly."""
    tried = game.state.game_state["guessed_letters"]
    return _choices(letter for letter in ascii_uppercase if letter not in tried)


def game_2048(game: Any) -> Grammar | None:
    """Directions that change the board."""
    board: list[list[int]] = game.state.game_state["board"]
    columns = [list(column) for column in zip(*board, strict=True)]
    lines = {
        "Up": columns,
        "Down": [column[::-1] for column in columns],
        "Left": board,
        "Right": [row[::-1] for row in board],
    }
    return _choices(name for name, rows in lines.items() if any(_slides(row) for row in rows))


def _slides(line: list[int]) -> bool:
    return any(after and (not before or before == after) for before, after in pairwise(line))


def tower_of_hanoi(game: Any) -> Grammar | None:
    towers: dict[str, list[int]] = game.state.game_state["towers"]
    return _choices(
        f"{source} {target}"
        for source, disks in towers.items()
        for target, others in towers.items()
        if disks and source != target and (not others or others[-1] > disks[-1])
    )


def sudoku(game: Any) -> Grammar | None:
    """Any digit into any empty cell; only the right one is accepted."""
    board = game.state.game_state["board"]
    return _choices(
        f"{row + 1} {column + 1} {digit}"
        for row in range(9)
        for column in range(9)
        if board[row][column] == 0
        for digit in range(1, 10)
    )


def minesweeper(game: Any) -> Grammar | None:
    return _choices(
        f"{row} {column}" for row in range(game.rows) for column in range(game.cols) if not game.revealed[row][column]
    )
