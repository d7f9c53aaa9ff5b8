"""TextArena's games (https://github.com/LeonGuertler/TextArena) as `Game`s."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from environments.games.game import GameError, MissingData, Note, Turn
from environments.worlds.text_arena.legal_moves import LegalMoves


class TextArenaGame:
    """One episode of a `-raw` TextArena game with any number of seats.

    - TextArena draws from the process-global `random`: each episode has a state of its own, put in place around
      every call and taken out again, so that copies stepped in turn do not disturb each other or anybody else.
    - Reading a seat's observations empties them: they are drained for all seats after every step.
    - Rewards are what `close()` says; a first illegal move costs nothing, a second in a row ends most games.
    """

    def __init__(self, build: Callable[[], Any], id: str, seats: int, legal: LegalMoves, hint: str = "") -> None:
        """`hint` is added to the rules where the game does not say how a move is written."""
        self._build, self._id, self._seats, self._legal, self._hint = build, id, seats, legal, hint

    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        self._random = random.Random(seed).getstate()
        with self._fence():
            self._game = self._build()
            self._game.reset(num_players=self._seats, seed=seed)
        prompts: list[list[str]] = [[] for _ in range(self._seats)]
        notes = self._drain(actor=None, prompts=prompts)
        rules = tuple("\n".join([*texts, self._hint]).strip() for texts in prompts)
        return rules, self._turn(notes)

    def play(self, action: str) -> Turn:
        state = self._game.state
        actor: int = state.current_player_id
        turn, fouled = state.turn, state.game_info[actor]["invalid_move"]
        try:
            with self._fence():
                done, _ = self._game.step(action)
        except Exception as error:
            raise GameError(f"{self._id} crashed on the action {action!r}: {error!r}") from error
        notes = self._drain(actor)
        # TextArena counts a turn for every legal move; a foul that ends the game is noted in game_info.
        invalid = state.turn == turn or (state.game_info[actor]["invalid_move"] and not fouled)
        return self._end(notes, invalid) if done else self._turn(notes, invalid)

    def cut_off(self) -> tuple[float, ...]:
        """The game's own partial credit, as at its turn limit; a draw where it has none."""
        credit = getattr(self._game, "_get_percentage_completion", None)
        return (0.0,) * self._seats if credit is None or self._seats > 1 else (credit(),)

    def _turn(self, notes: tuple[tuple[Note, ...], ...], invalid: bool = False) -> Turn:
        return Turn(self._game.state.current_player_id, notes, self._legal(self._game), invalid=invalid)

    def _end(self, notes: tuple[tuple[Note, ...], ...], invalid: bool) -> Turn:
        with self._fence():
            rewards, infos = self._game.close()
        if not isinstance(rewards, dict):
            raise GameError(f"{self._id} ended without rewards")
        return Turn(
            self._game.state.current_player_id,
            notes,
            rewards=tuple(rewards.get(seat, 0) for seat in range(self._seats)),
            invalid=invalid,
            over=True,
            reason=infos[0].get("reason") or "",
        )

    def _drain(self, actor: int | None, prompts: list[list[str]] | None = None) -> tuple[tuple[Note, ...], ...]:
        notes: list[list[Note]] = [[] for _ in range(self._seats)]
        for seat, messages in self._game.state.observations.items():
            for sender, text, kind in messages:
                if kind.name == "PROMPT" and prompts is not None:
                    prompts[seat].append(text)
                elif kind.name == "PLAYER_ACTION":
                    # Some games leave the sender out (-1): then it is the seat that moved.
                    speaker = actor if sender < 0 else sender
                    if speaker != seat:
                        notes[seat].append(Note(f"[Player {speaker}] {text.strip()}"))
                elif text.strip():
                    notes[seat].append(Note(text.strip("\n").rstrip(), board=kind.name == "GAME_BOARD"))
            messages.clear()
        return tuple(map(tuple, notes))

    @contextmanager
    def _fence(self) -> Generator[None]:
        outside = random.getstate()
        random.setstate(self._random)
        try:
            yield
        finally:
            self._random = random.getstate()
            random.setstate(outside)


def build(id: str, **options: Any) -> Any:
    """A fresh TextArena game, without the wrappers that keep history across resets. `options` as its class takes."""
    import textarena

    return textarena.make(f"{id}-raw", **options)


def build_word_game(id: str) -> Any:
    """A fresh word game. Its dictionaries take seconds to load and are only read: all its games share them.

    Raises MissingData where NLTK's word list or tagger is not on this machine; nothing is downloaded.
    """
    return copy.copy(_word_game(id))


@lru_cache(maxsize=8)
def _word_game(id: str) -> Any:
    import nltk

    for places in (("corpora/words", "corpora/words.zip"), ("taggers/averaged_perceptron_tagger_eng",)):
        if not any(_found(place) for place in places):
            raise MissingData(
                f"{id} needs NLTK's word list and tagger: run `python -m nltk.downloader words "
                "averaged_perceptron_tagger_eng`, or set NLTK_DATA to a folder that holds corpora/words and "
                "taggers/averaged_perceptron_tagger_eng"
            )
    download = nltk.download
    nltk.download = lambda *_args, **_options: True  # TextArena asks for a download at every import and every game
    try:
        return build(id)
    finally:
        nltk.download = download


def _found(place: str) -> bool:
    import nltk

    try:
        nltk.data.find(place)
    except LookupError:
        return False
    return True
