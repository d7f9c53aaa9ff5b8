"""`procmem play`: a person at the keyboard, under the grammar of the models."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys

import pytest

from tests.support.hostile import controls


@pytest.fixture
def sit_down(procmem, monkeypatch):
    """`procmem play` with these lines typed."""

    def sit_down_(*arguments: object, typed: tuple[str, ...]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
        return procmem("play", *arguments)

    return sit_down_


def test_a_game_to_its_end(sit_down):
    said = sit_down("Lever-v0", "--seed", 2, typed=("5", "[E]", "1", "2", "3"))
    assert said.code == 0
    assert "Lever-v0, game 2" in said.out
    assert "There are five levers" in said.out
    assert "Pull 5 of 5: which lever?" in said.out
    assert "Lever E paid" in said.out
    assert "(between 0 and 1 in this game): not solved." in said.out
    assert sit_down("Lever-v0", "--seed", 2, typed=("5", "5", "1", "2", "3")).out == said.out


def test_what_is_no_move_is_answered_with_why(sit_down):
    said = sit_down("Lever-v0", typed=("0", "6", "E", ""))
    assert said.code == 0
    assert said.err.count("is neither one of these moves nor a number from 1 to 5.") == 4
    assert said.out.rstrip().endswith("You have left the game.")


def test_a_typed_move_is_held_against_the_pattern(sit_down):
    said = sit_down("Mastermind-v0", typed=("[1 1 2 3]", "1", "[1 2 3 4]"))
    assert said.code == 0
    assert said.err.count("is not of the form") == 2
    example = said.err.splitlines()[0].rpartition("this would be: ")[2]
    assert sit_down("Mastermind-v0", typed=(example,)).err == ""
    assert "black" in said.out


def test_a_seat_opposite_a_model(sit_down):
    said = sit_down("TicTacToe-v0", "--seat", 1, typed=("1",) * 9)
    assert said.code == 0
    assert "you are player_1" in said.out
    assert "You earned" in said.out
    again = sit_down("TicTacToe-v0", "--seat", 1, "--opponent", "scripted:random", typed=("1",) * 9)
    assert again.out == said.out


def test_what_cannot_be_played(sentence):
    assert "the last seat of Lever-v0 is 0" in sentence("play", "Lever-v0", "--seat", 1)
    assert "did you mean 'Lever-v0'?" in sentence("play", "Levr-v0")
    assert "no scripted model is called 'nobody'" in sentence("play", "TicTacToe-v0", "--opponent", "scripted:nobody")
    third_party = "tests.support.third_party"
    assert "Unmakeable-v0 crashed: FileNotFoundError: no coin" in sentence("play", f"{third_party}:unmakeable")
    assert "Unfurnished-v0 needs a table: buy one" in sentence("play", f"{third_party}:unfurnished")


def test_a_game_that_breaks_while_one_plays(sit_down):
    said = sit_down("tests.support.third_party:stuck", typed=("1", "1"))
    assert said.code == 1
    assert said.err == "Error: Stuck-v0: the action '[heads]' did not answer within 0.3 s\n"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("priceless", "Priceless-v0 paid player_0 nan, which is no finite number"),
        ("generous", "Generous-v0 paid player_0 inf in all, outside the range it declares, 0 to 1"),
        ("deserting", "Deserting-v0 let player_0 go without saying that its game was over"),
        ("misnamed", "Misnamed-v0 let player_0 go without saying that its game was over"),
    ],
)
def test_a_game_that_breaks_its_promises(sit_down, name, told):
    said = sit_down(f"tests.support.third_party:{name}", typed=("1", "1"))
    assert (said.code, said.err) == (1, f"Error: {told}\n")


def test_what_a_game_says_is_shown_and_never_obeyed(sit_down):
    for seed in range(4):
        said = sit_down("tests.support.hostile:SHOUTING", "--seed", seed, typed=("1", "\x1b[2J", "2", "2"))
        assert controls(said.out) == controls(said.err) == []
        assert r"\x1b[2J" in said.out
        assert "Traceback" not in said.err
        assert said.code == 0 or said.err.splitlines()[-1].startswith("Error: Shouting-v0 crashed: RuntimeError: ")


SITTING_DOWN = """
import signal, sys
from testbed.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background is born ignoring it
sys.argv = ["procmem", "play", "TicTacToe-v0"]
main()
"""


def test_ctrl_c_leaves_at_once(environment):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", SITTING_DOWN]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as game:
        os.close(theirs)
        said = b""
        while not said.endswith(b"> "):
            said += os.read(ours, 65536)
        game.send_signal(signal.SIGINT)
        try:
            while game.poll() is None or select.select([ours], [], [], 0)[0]:
                if select.select([ours], [], [], 5)[0]:
                    said += os.read(ours, 65536)
                else:  # it came between the prompt and the reading, where Python does not see it before the next key
                    game.send_signal(signal.SIGINT)
        except OSError:
            pass  # the terminal's end
        assert game.wait(30) == 130
    os.close(ours)
    assert b"You have left the game." in said
    assert b"Traceback" not in said
