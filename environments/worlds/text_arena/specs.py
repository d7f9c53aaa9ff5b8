"""TextArena's games as `EnvSpec`s.

Ids are TextArena's own without `-raw`. A horizon is the most decisions a seat can need, counting one illegal move
before every legal one; TextArena counts turns from zero and so plays one more than it announces.
Left out: games that pay something other than a number, go below zero unannounced or ignore their seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from environments.grammar import Choices, Grammar, Regex
from environments.spec import EnvSpec
from environments.worlds.text_arena import legal_moves as legal


def _game(
    id: str,
    grammar: Grammar,
    horizon: int,
    family: str,
    difficulty: int = 0,
    *,
    summary: str,
    seats: int = 1,
    reward_range: tuple[float, float] | None = None,
    moves: legal.LegalMoves = legal.unknown,
    options: dict[str, Any] | None = None,
    base: str = "",
    words: bool = False,
    seeded: bool = True,
    examples: tuple[str, ...] = (),
    hint: str = "",
) -> EnvSpec:
    """One seat is paid 0 to 1, several −1 (lost), 0 (drawn) or 1 (won), unless said otherwise.

    `base` is TextArena's id where ours differs, `options` what its class is given in place of its defaults.
    """
    reward_range = reward_range or ((0.0, 1.0) if seats == 1 else (-1.0, 1.0))

    def make() -> Any:
        from environments.games.aec import TextEnv
        from environments.worlds.text_arena.game import TextArenaGame, build, build_word_game

        make_game: Callable[[], Any] = (
            partial(build_word_game, id) if words else partial(build, base or id, **options or {})
        )
        if words:
            make_game()  # so that missing data is noticed here, not in the first episode
        game = partial(TextArenaGame, make_game, id, seats, moves, hint)
        return TextEnv(game, id=id, seats=seats, grammar=grammar, horizon=horizon, reward_range=reward_range)

    return EnvSpec(
        id,
        make,
        seats,
        grammar,
        horizon,
        reward_range,
        family,
        difficulty,
        summary,
        seeded=seeded,
        examples=examples,
        needs="NLTK data" if words else "",
        package="textarena",
    )


def _one_of(*words: object) -> Choices:
    return Choices(tuple(f"[{word}]" for word in words))


def _distinct(digits: Sequence[int], length: int) -> str:
    """Pattern of `length` different digits in any order, separated by spaces."""
    if length == 1:
        return f"[{''.join(map(str, digits))}]"
    rest = (f"{digit} {_distinct([other for other in digits if other != digit], length - 1)}" for digit in digits)
    return f"({'|'.join(rest)})"


_CODE_12 = r"\[([1-9]|1[0-2])( ([1-9]|1[0-2])){5}\]"
_CELL = r"\[[0-9] [0-9]\]"

SINGLE: tuple[EnvSpec, ...] = (
    _game(
        "Mastermind-v0", Regex(rf"\[{_distinct(range(1, 7), 4)}\]"), 42, "Mastermind", 0,
        summary="Find a code of 4 different digits from 1 to 6; the last guess pays (black + ½ white)/4.",
    ),
    _game(
        "Mastermind-v0-hard", Regex(rf"\[{_distinct(range(1, 9), 4)}\]"), 62, "Mastermind", 1,
        summary="Find a code of 4 different digits from 1 to 8; the last guess pays (black + ½ white)/4.",
    ),
    _game(
        "Mastermind-v0-extreme", Regex(_CODE_12), 102, "Mastermind", 2,
        summary="Find a code of 6 numbers from 1 to 12, repeats allowed; the last guess pays (black + ½ white)/6.",
    ),
    _game(
        "GuessTheNumber-v0", _one_of(*range(1, 21)), 22, "GuessTheNumber", 0, moves=legal.guess_the_number,
        summary="Find a number from 1 to 20, told higher or lower; the last guess pays by its closeness.",
    ),
    _game(
        "GuessTheNumber-v0-hardcore", _one_of(*range(1, 51)), 22, "GuessTheNumber", 1, moves=legal.guess_the_number,
        summary="Find a number from 1 to 50, told higher or lower; the last guess pays by its closeness.",
    ),
    _game(
        "FrozenLake-v0", _one_of("up", "down", "left", "right"), 202, "FrozenLake", 0, moves=legal.frozen_lake,
        summary="Walk a 4×4 grid to the opposite corner, around 3 holes; falling in pays the way covered.",
    ),
    _game(
        "FrozenLake-v0-random", _one_of("up", "down", "left", "right"), 202, "FrozenLake", 1, moves=legal.frozen_lake,
        summary="FrozenLake with a corner drawn at random to start from.",
    ),
    _game(
        "FrozenLake-v0-hardcore", _one_of("up", "down", "left", "right"), 202, "FrozenLake", 2, moves=legal.frozen_lake,
        summary="FrozenLake on a 5×5 grid with 6 holes.",
    ),
    _game(
        "Bandit-v0", _one_of("red", "blue", "green", "yellow", "purple"), 42, "Bandit", 0, reward_range=(-1.0, 1.0),
        summary="Try 5 buttons 20 times, then name the best; a wrong name pays its gap to the best (sic).",
        hint="Answer with a button in square brackets, like [button].",
    ),
    _game(
        "Blackjack-v0", _one_of("Hit", "Stand"), 100, "Blackjack", 0,
        summary="Five hands against a dealer who stands at 17; pays the share of hands won.",
    ),
    _game(
        "Blackjack-v0-long", _one_of("Hit", "Stand"), 300, "Blackjack", 1,
        summary="Fifteen hands against a dealer who stands at 17; pays the share of hands won.",
    ),
    _game(
        "Secretary-v0", _one_of("accept", "continue"), 10, "Secretary", 0, reward_range=(-1.0, 1.0),
        summary="Five values one after the other: accept one; only the highest pays.",
    ),
    _game(
        "2048-v0-small", _one_of("Up", "Down", "Left", "Right"), 144, "2048", 0, moves=legal.game_2048,
        base="2048-v0-3x3", options={"target_tile": 64},
        summary="2048 on a 3×3 board up to a tile of 64; pays half by score, half by largest tile.",
    ),
    _game(
        "2048-v0-super-easy", _one_of("Up", "Down", "Left", "Right"), 512, "2048", 1, moves=legal.game_2048,
        summary="2048 on a 4×4 board up to a tile of 128; pays half by score, half by largest tile.",
    ),
    _game(
        "TowerOfHanoi-v0", Regex(r"\[[ABC] [ABC]\]"), 30, "TowerOfHanoi", 0, moves=legal.tower_of_hanoi, seeded=False,
        summary="Move 3 disks from A to C in 15 moves; pays the share of disks in place on C.",
    ),
    _game(
        "TowerOfHanoi-v0-medium", Regex(r"\[[ABC] [ABC]\]"), 62, "TowerOfHanoi", 1, moves=legal.tower_of_hanoi,
        seeded=False, summary="Move 4 disks from A to C in 31 moves; pays the share of disks in place on C.",
    ),
    _game(
        "Minesweeper-v0-small", Regex(_CELL), 40, "Minesweeper", 0, moves=legal.minesweeper,
        summary="Uncover a 5×5 field with 5 mines; pays the share uncovered beyond the first move.",
    ),
    _game(
        "Minesweeper-v0", Regex(_CELL), 108, "Minesweeper", 1, moves=legal.minesweeper,
        summary="Uncover an 8×8 field with 10 mines; pays the share uncovered beyond the first move.",
    ),
    _game(
        "Sudoku-v0-very-easy", Regex(r"\[[1-9] [1-9] [1-9]\]"), 12, "Sudoku", 0, moves=legal.sudoku,
        summary="Fill the last 6 cells of a sudoku; pays the share filled.",
    ),
    _game(
        "Sudoku-v0-easy", Regex(r"\[[1-9] [1-9] [1-9]\]"), 22, "Sudoku", 1, moves=legal.sudoku,
        summary="Fill the last 11 cells of a sudoku; pays the share filled.",
    ),
    _game(
        "Hangman-v0", Regex(r"\[[A-Z]\]"), 52, "Hangman", 0, moves=legal.hangman, words=True,
        summary="Guess a common English word letter by letter with 6 misses; pays the share uncovered.",
    ),
    _game(
        "Wordle-v0", Regex(r"\[[a-z]{5}\]"), 12, "Wordle", 0, words=True, examples=("[apple]",),
        summary="Guess a common 5-letter noun in 6 tries; the last guess pays (green + ½ yellow)/5.",
    ),
)  # fmt: skip

SEVERAL: tuple[EnvSpec, ...] = (
    _game(
        "TicTacToe-v0", _one_of(*range(9)), 10, "TicTacToe", seats=2, moves=legal.tic_tac_toe, seeded=False,
        summary="Tic-tac-toe.",
    ),
    _game(
        "ConnectFour-v0", Regex(r"\[col [0-6]\]"), 42, "ConnectFour", seats=2, moves=legal.connect_four, seeded=False,
        summary="Connect four on 6 rows and 7 columns.",
    ),
    _game(
        "Nim-v0", Regex(r"\[[0-2] [1-5]\]"), 12, "Nim", 0, seats=2, moves=legal.nim, seeded=False,
        summary="Piles of 3, 4 and 5; whoever takes the last object wins.",
    ),
    _game(
        "Nim-v0-medium", Regex(r"\[[0-3] [1-7]\]"), 16, "Nim", 1, seats=2, moves=legal.nim, seeded=False,
        summary="Piles of 4, 2, 3 and 7; whoever takes the last object wins.",
    ),
    _game(
        "KuhnPoker-v0", _one_of("check", "bet", "call", "fold"), 12, "KuhnPoker", 0, seats=2, moves=legal.kuhn_poker,
        summary="Three rounds of three-card poker; the larger stack wins.",
    ),
    _game(
        "KuhnPoker-v0-short", _one_of("check", "bet", "call", "fold"), 20, "KuhnPoker", 1, seats=2,
        moves=legal.kuhn_poker, summary="Five rounds of three-card poker; the larger stack wins.",
    ),
    _game(
        "IteratedPrisonersDilemma-v0", Regex(rf"(\[Cooperate\]|\[Defect\]|{legal.TALK})"), 20,
        "IteratedPrisonersDilemma", seats=2, moves=legal.prisoners_dilemma, seeded=False,
        summary="Ten rounds, a remark before each decision; the higher score wins.",
    ),
    _game(
        "SimpleNegotiation-v0", Regex(rf"(\[Accept\]|\[Deny\]|{legal.OFFER})"), 12, "SimpleNegotiation", 1, seats=2,
        moves=legal.negotiation, summary="Trade resources that each values differently; the larger gain wins.",
    ),
    _game(
        "SimpleNegotiation-v0-short", Regex(rf"(\[Accept\]|\[Deny\]|{legal.OFFER})"), 8, "SimpleNegotiation", 0,
        seats=2, moves=legal.negotiation, summary="SimpleNegotiation over 7 turns in place of 11.",
    ),
    _game(
        "LiarsDice-v0-small", Regex(r"(\[Call\]|\[Bid: [1-9], [1-6]\])"), 100, "LiarsDice", 0, seats=3,
        moves=legal.liars_dice, summary="Three players with three dice each bluff about all dice.",
    ),
    _game(
        "LiarsDice-v0", Regex(r"(\[Call\]|\[Bid: ([1-9]|1[0-5]), [1-6]\])"), 200, "LiarsDice", 1, seats=3,
        moves=legal.liars_dice, summary="Three players with five dice each bluff about all dice.",
    ),
)  # fmt: skip

GAMES: tuple[EnvSpec, ...] = SINGLE + SEVERAL
