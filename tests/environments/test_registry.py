"""Names lead to environments."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from environments.games.game import MissingData
from environments.registry import ENVIRONMENTS
from environments.spec import EnvSpec

REQUIRED = {
    "Mastermind-v0", "Mastermind-v0-hard", "Mastermind-v0-extreme", "GuessTheNumber-v0", "FrozenLake-v0",
    "FrozenLake-v0-random", "Bandit-v0", "Blackjack-v0", "Hangman-v0", "Wordle-v0", "2048-v0-small",
    "TowerOfHanoi-v0", "TicTacToe-v0", "ConnectFour-v0", "KuhnPoker-v0", "Nim-v0", "IteratedPrisonersDilemma-v0",
    "LiarsDice-v0", "Doors-v0", "Doors-v0-inverted", "Doors-v0-chance", "Repeat-v0", "Dial-v0", "Lever-v0",
    "PettingZoo-TicTacToe-v3", "PettingZoo-ConnectFour-v3", "PettingZoo-LeducHoldem-v4", "PettingZoo-TexasHoldem-v4",
    "Gymnasium-Taxi-v4", "Gymnasium-CliffWalking-v1", "Gymnasium-FrozenLake-v1", "Gymnasium-Blackjack-v1",
}  # fmt: skip


def test_the_promised_games_are_there():
    assert set(ENVIRONMENTS) >= REQUIRED
    assert ENVIRONMENTS["LiarsDice-v0"].seats == 3


def test_ids_are_keys_and_difficulties_rank_a_family():
    for id, spec in ENVIRONMENTS.items():
        assert spec.id == id
        assert spec.summary
        assert spec.horizon > 0
    ranks = [(spec.family, spec.difficulty) for spec in ENVIRONMENTS.values()]
    assert len(set(ranks)) == len(ranks)


def test_the_catalog_imports_no_game_engine():
    code = (
        "import sys, environments.registry; print(*({'textarena', 'nltk', 'pettingzoo', 'gymnasium'} & {*sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_missing_word_lists_are_one_sentence(monkeypatch):
    import nltk

    from environments.worlds.text_arena import game

    def refuse(*_args, **_options):
        raise AssertionError("nothing may be downloaded")

    game._word_game.cache_clear()
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr(nltk, "download", refuse)
    with pytest.raises(MissingData, match="NLTK_DATA"):
        ENVIRONMENTS["Hangman-v0"].make()


def test_specs_are_frozen():
    with pytest.raises(AttributeError):
        ENVIRONMENTS["Doors-v0"].horizon = 3  # type: ignore[misc]
    assert isinstance(ENVIRONMENTS["Doors-v0"], EnvSpec)


@pytest.mark.parametrize("id", ["", "two\nlines", "\x1b[2JDoors-v0", "Doors\u202e-v0", "half \ud83d", "no \ufffe"])
def test_an_id_is_printable_text(id):
    with pytest.raises(ValueError, match="printable"):
        replace(ENVIRONMENTS["Doors-v0"], id=id)
