"""ALFWorld's games as they are played: TextWorld's own words, faster, in processes that may die."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from environments.conformance.check_env import check_env
from environments.games.game import GameError
from environments.grammar import Choices
from environments.registry import ENVIRONMENTS
from environments.worlds import processes
from environments.worlds.alfworld.engine import Damaged, evaluate
from environments.worlds.alfworld.files import KINDS, GameFile, game_files
from environments.worlds.alfworld.game import DONE, PROCESSES, AlfredGame
from environments.worlds.alfworld.specs import GRAMMAR

SEAT = "player_0"


def begin(file: GameFile, steps: int = 50, *told: str) -> tuple[AlfredGame, str, Choices]:
    game = AlfredGame(lambda seed: file, steps, frozenset(told))
    (rules,), turn = game.begin(0)
    assert isinstance(turn.grammar, Choices)
    return game, rules, turn.grammar


def files(split="valid_unseen") -> list[GameFile]:
    return [file for each in game_files(split).values() for file in each]


def won_by_walkthrough(file: GameFile) -> bool:
    """Whether the game's own walkthrough wins it, each command admissible in its turn."""
    game, rules, grammar = begin(file, 50, "walkthrough")
    for command in rules.partition("Walkthrough: ")[2].split("; "):
        assert grammar.accepts(command), (file.name, command)
        turn = game.play(command)
        if turn.over:
            return turn.rewards == (1.0,) and turn.reason == DONE
        grammar = turn.grammar
    return False


def test_walkthroughs_win(alfworld):
    assert all(map(won_by_walkthrough, [*files("train"), *files()]))


@pytest.mark.slow
@pytest.mark.parametrize(("split", "count"), [("valid_seen", 140), ("valid_unseen", 134)])
def test_every_evaluation_game_is_won_by_its_walkthrough(all_of_alfworld, split, count):
    with ThreadPoolExecutor(4) as pool:
        won = dict(zip(files(split), pool.map(won_by_walkthrough, files(split)), strict=True))
    assert len(won) == count
    assert [file.name for file, each in won.items() if not each] == []


def stock(file: GameFile):
    """The game as ALFWorld itself starts it, in this process: TextWorld with nothing changed."""
    import textworld
    from alfworld.agents.environment.alfred_tw_env import AlfredDemangler, AlfredInfos

    infos = textworld.EnvInfos(won=True, admissible_commands=True)
    return textworld.start(str(file.path), request_infos=infos, wrappers=[AlfredDemangler(), AlfredInfos])


class Player:
    """Somebody who has a process."""


def same_transcripts(games: list[GameFile], steps: int) -> int:
    """How many steps of random commands were compared, an unknown one and a wished one among them."""
    compared = 0
    for number, file in enumerate(games):
        rng = np.random.default_rng(number)
        theirs = stock(file)
        state = theirs.reset()
        process, give_back = PROCESSES.lend(player := Player())
        ours = process.ask(load=str(file.path))
        for step in range(steps):
            assert ours["text"] == state["feedback"]
            assert ours["won"] == state["won"]
            assert [*ours["commands"], "help"] == sorted(state["admissible_commands"], key=lambda each: each == "help")
            command = "dance" if step == 3 else ours["commands"][int(rng.integers(len(ours["commands"])))]
            state, _, _ = theirs.step(command)
            ours = process.ask(play=command)
            compared += 1
        give_back()
        del player
    return compared


@pytest.fixture
def alfworld_itself(alfworld, monkeypatch):
    if importlib.util.find_spec("alfworld") is None:
        pytest.skip("make alfworld first")
    monkeypatch.setattr(sys, "argv", sys.argv)  # fast_downward writes its own


def test_transcripts_are_textworlds_own(alfworld_itself):
    assert same_transcripts([files()[1], files("train")[4]], 12) == 24


@pytest.mark.slow
def test_500_steps_are_textworlds_own(alfworld_itself):
    """Twelve games after one another in one process, so that nothing of a game is left when the next begins."""
    assert same_transcripts([*files(), *files("train")], 42) == 504


def test_the_grammar_is_what_is_admissible(alfworld):
    env = ENVIRONMENTS["ALFWorld-v0"].make()
    env.reset(seed=3)
    grammar = env.infos[SEAT]["grammar"]
    assert isinstance(grammar, Choices)
    assert "help" not in grammar.options
    assert "look" in grammar.options
    assert all(map(GRAMMAR.accepts, grammar.options))
    env.step("dance with fridge 1")
    assert env.infos[SEAT]["invalid"] == 1
    assert env.observe(SEAT)["text"] == "Nothing happens."
    env.step("help")
    assert env.infos[SEAT]["invalid"] == 2


def test_the_type_of_task_is_in_the_infos_alone(alfworld):
    env = ENVIRONMENTS["ALFWorld-cool-v0:split=valid_unseen"].make()
    env.reset(seed=0)
    info = env.infos[SEAT]
    assert info["task_type"] == KINDS["cool"]
    assert info["game"].startswith("valid_unseen/pick_cool")
    shown = info["rules"] + env.observe(SEAT)["text"]
    assert "pick_" not in shown
    assert "Walkthrough" not in shown
    assert "Commands:" not in shown


def test_hints_are_told_to_those_who_choose_them(alfworld):
    env = ENVIRONMENTS["ALFWorld-cool-v0:told=type+walkthrough+commands"].make()
    env.reset(seed=0)
    assert f"Type of task: {KINDS['cool']}" in env.infos[SEAT]["rules"]
    assert "Walkthrough: go to " in env.infos[SEAT]["rules"]
    assert env.observe(SEAT)["text"].endswith(f"Commands: {'; '.join(env.infos[SEAT]['grammar'].options)}")


def test_steps_are_a_limit(alfworld):
    env = ENVIRONMENTS["ALFWorld-put-v0:steps=3"].make()
    env.reset(seed=0)
    for _ in range(3):
        env.step("look")
    assert env.truncations[SEAT]
    assert env.infos[SEAT]["solved"] is False
    assert "you have 3 commands" in env.infos[SEAT]["rules"]


def test_conformance(alfworld):
    report = check_env(ENVIRONMENTS["ALFWorld-v0:steps=6"])
    assert not report.missing
    assert report.passed, [row for row in report.rows if not row.passed]


def test_a_game_that_is_over_frees_its_process(alfworld):
    PROCESSES.end()
    env = ENVIRONMENTS["ALFWorld-v0:steps=1"].make()
    for seed in range(4):
        env.reset(seed=seed)
        env.step("look")
    other = ENVIRONMENTS["ALFWorld-v0"].make()
    other.reset(seed=1)
    other.close()
    ENVIRONMENTS["ALFWorld-v0"].make().reset(seed=2)
    assert len(PROCESSES.running) == 1


def go_somewhere(file: GameFile) -> None:
    game, _, grammar = begin(file)
    game.play(next(each for each in grammar.options if each.startswith("go to")))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda game: "{", "it cannot be read as JSON"),
        (lambda game: "[]", "it lacks pddl_domain, pddl_problem, grammar, walkthrough"),
        (lambda game: json.dumps({**game, "walkthrough": []}), "it lacks walkthrough"),
        (lambda game: json.dumps({**game, "solvable": False}), "the game is marked as unsolvable"),
        (lambda game: json.dumps({**game, "pddl_problem": "(define"}), "TextWorld cannot read it"),
        (lambda game: json.dumps({**game, "grammar": "@"}), "TextWorld cannot read it"),
        (
            lambda game: json.dumps({**game, "grammar": game["grammar"].replace("{r.name}", "{open('x', 'w')}")}),
            "its template .*open.* names nothing",
        ),
    ],
    ids=["no JSON", "no game", "no walkthrough", "unsolvable", "no problem", "no grammar", "a program"],
)
def test_a_damaged_file_is_one_sentence_that_names_it(alfworld, tmp_path, monkeypatch, damage, said):
    monkeypatch.chdir(tmp_path)
    file = files()[0]
    path = tmp_path / "train" / "task" / "trial" / "game.tw-pddl"
    path.parent.mkdir(parents=True)
    path.write_text(damage(json.loads(file.path.read_text(encoding="utf-8"))), encoding="utf-8")
    with pytest.raises(GameError, match=said) as error:
        go_somewhere(GameFile(path, "put"))
    assert str(error.value).startswith(f"the game {path}: ")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x").exists()
    assert won_by_walkthrough(file)


def test_templates_name_things_and_nothing_else():
    things = {"o": type("Thing", (), {"name": "apple 1", "indefinite": "an", "id": "apple_bar_1", "secret": "s"})()}
    assert evaluate("o.indefinite + ' ' + o.name", things) == "an apple 1"
    assert evaluate("o.name or o.id", things) == "apple 1"
    for expression in ("o.secret", "o.__class__", "__import__('os')", "o.name.upper()", "1", "(", "[o for o in 'a']"):
        with pytest.raises(Damaged, match="names nothing"):
            evaluate(expression, things)


def test_a_process_that_dies_costs_its_game(alfworld):
    game, _, _ = begin(files()[0])
    other, _, _ = begin(files()[1])
    os.kill(game._process.pid, signal.SIGKILL)
    with pytest.raises(GameError, match=r"^the game .*game\.tw-pddl: its process was killed by SIGKILL$"):
        game.play("look")
    assert not other.play("look").over
    assert won_by_walkthrough(files()[0])


def test_a_process_that_hangs_costs_its_game(alfworld, monkeypatch):
    game, _, _ = begin(files()[0])
    os.kill(game._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(processes, "LONGEST_SILENCE", 0.3)
    with pytest.raises(GameError, match=r"game\.tw-pddl: it did not answer within 0\.3 s$"):
        game.play("look")
    assert not game._process.alive


def test_a_step_takes_milliseconds(alfworld):
    """Processor time of the game's process; wall time says how busy the machine is."""
    import psutil

    game, _, grammar = begin(files()[4])
    rng = np.random.default_rng(0)
    for _ in range(10):
        grammar = game.play(grammar.options[int(rng.integers(len(grammar.options)))]).grammar
    process = psutil.Process(game._process.pid)
    before = sum(process.cpu_times()[:2])
    for _ in range(50):
        grammar = game.play(grammar.options[int(rng.integers(len(grammar.options)))]).grammar
    assert (sum(process.cpu_times()[:2]) - before) / 50 < 0.010
