"""ALFWorld's names, and the game that a seed means."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from environments.games.game import MissingData
from environments.registry import ENVIRONMENTS
from environments.spec import ChoiceError
from environments.worlds.alfworld import game
from environments.worlds.alfworld.files import KINDS, SPLITS, choose, game_files, in_turn
from environments.worlds.alfworld.specs import ALFWORLD, Variant


def test_one_family_with_a_task_for_each_type():
    assert {spec.family for spec in ALFWORLD} == {"ALFWorld"}
    assert {spec.id for spec in ALFWORLD} == {"ALFWorld-v0", *(f"ALFWorld-{kind}-v0" for kind in KINDS)}
    assert {spec.horizon for spec in ALFWORLD} == {50}


def test_choices_stand_in_the_id():
    spec = ENVIRONMENTS["ALFWorld-heat-v0:split=valid_unseen,steps=30,told=type+commands"]
    assert spec.id == "ALFWorld-heat-v0:split=valid_unseen,steps=30,told=type+commands"
    assert (spec.horizon, spec.family) == (30, "ALFWorld")
    assert Variant.of("told=commands,split=valid_seen") == Variant("valid_seen", 50, frozenset({"commands"}))


@pytest.mark.parametrize(
    ("id", "said"),
    [
        ("ALFWorld-v0:split=test", "split=test is none of train, valid_seen, valid_unseen"),
        ("ALFWorld-v0:steps=0", "steps=0 is no number from 1 to 999"),
        ("ALFWorld-v0:steps=1e3", "steps=1e3 is no number"),
        ("ALFWorld-v0:told=all", "'all' is none of type, walkthrough, commands"),
        ("ALFWorld-v0:steps=3,steps=4", "'steps=4' is no choice; write split=…, steps=…, told=… or games=…, each once"),
        ("ALFWorld-v0:games=all", "games=all is none of drawn, each"),
        ("ALFWorld-v0:", "'' is no choice"),
        ("ALFWorld-v0:hint=type", "'hint=type' is no choice"),
        ("Doors-v0:split=train", "Doors-v0 offers no choices"),
    ],
)
def test_wrong_choices_are_one_sentence(id, said):
    with pytest.raises(ChoiceError) as error:
        ENVIRONMENTS[id]
    assert said in str(error.value)
    assert id not in ENVIRONMENTS
    assert ENVIRONMENTS.get(id) is None


@pytest.fixture
def data(twelve_games: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALFWORLD_DATA", str(twelve_games))
    return twelve_games


def test_files_are_sorted_and_named_alike_everywhere(data):
    files = game_files("train")
    assert list(files) == list(KINDS)
    (heat,) = files["heat"]
    assert heat.name == "train/pick_heat_then_place_in_recep-Mug-None-CoffeeMachine-14/trial_T20190907_012116_449794"
    assert list(game_files("train", "cool")) == ["cool"]


def test_a_folder_says_the_type_that_the_game_has(data):
    for split in ("train", "valid_unseen"):
        for kind, files in game_files(split).items():
            for file in files:
                assert f'"{KINDS[kind]}"' in (file.path.parent / "traj_data.json").read_text(encoding="utf-8")


def test_seeds_are_spread_evenly_over_the_types(data):
    games = game_files("valid_unseen")
    chosen = [choose(games, seed) for seed in range(3000)]
    assert chosen == [choose(games, seed) for seed in range(3000)]
    counts = Counter(file.kind for file in chosen)
    assert set(counts) == set(KINDS)
    assert max(counts.values()) < 1.25 * min(counts.values())


def test_taken_in_turn_seeds_are_every_game_once(data):
    games = game_files("valid_unseen")
    everyone = {file.name for files in games.values() for file in files}
    for first in (1, 7, 2**31 - 1):
        assert {in_turn(games, first + 2 * number).name for number in range(len(everyone))} == everyone
    order = [in_turn(games, 1 + 2 * number).name for number in range(len(everyone))]
    assert order != sorted(order)


def test_whether_games_are_taken_in_turn_is_a_choice():
    assert ENVIRONMENTS["ALFWorld-v0:split=valid_unseen,games=each"].in_turn
    assert not ENVIRONMENTS["ALFWorld-v0:split=valid_unseen"].in_turn


@pytest.mark.parametrize("split", SPLITS)
def test_missing_data_is_one_sentence(tmp_path, monkeypatch, split):
    monkeypatch.setattr(game, "find_spec", lambda name: True)
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(MissingData, match=r"no heat games in .*nowhere.*alfworld-download.*ALFWORLD_DATA"):
        ENVIRONMENTS[f"ALFWorld-heat-v0:split={split}"].make()


def test_a_missing_extra_is_one_sentence(monkeypatch):
    monkeypatch.setattr(game, "find_spec", lambda name: None)
    with pytest.raises(MissingData, match=r"ALFWorld needs TextWorld: pip install 'procmem\[alfworld\]'"):
        ENVIRONMENTS["ALFWorld-v0"].make()


@pytest.mark.slow
def test_all_games_are_there(all_of_alfworld):
    assert [sum(map(len, game_files(split).values())) for split in SPLITS] == [3553, 140, 134]
    games = game_files("valid_unseen")
    assert len({in_turn(games, 991 + 2 * number) for number in range(134)}) == 134
