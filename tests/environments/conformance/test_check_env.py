"""Every registered environment keeps its promises, and `check_env` notices those that do not."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from environments.conformance.check_env import Report, check_env
from environments.games.aec import TextEnv
from environments.games.game import Note, Turn
from environments.grammar import Choices
from environments.registry import ENVIRONMENTS
from environments.spec import EnvSpec
from tests.support.third_party import deserting, stuck

YES_NO = Choices(("[yes]", "[no]"))


@pytest.mark.parametrize("id", [id for id, spec in ENVIRONMENTS.items() if not spec.remote])
def test_conformance(id: str):
    report = check_env(ENVIRONMENTS[id])
    if report.missing:
        pytest.skip(report.missing)
    assert report.passed, [row for row in report.rows if not row.passed]
    assert len(report.rows) == 10


def test_progress_names_each_check():
    told: list[str] = []
    report = check_env(ENVIRONMENTS["Lever-v0"], told.append)
    assert told == [row.check for row in report.rows]
    assert all(row.seconds >= 0 for row in report.rows)


class Fake:
    """A made-up game of two answers with one seat; subclasses break one promise each."""

    told = "Yes or no?"

    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        self.secret, self.moves, self.fouls = seed % 2, 0, 0
        return ("Say [yes] or [no].",), Turn(0, ((Note(self.told),),), YES_NO)

    def play(self, action: str) -> Turn:
        if not YES_NO.accepts(action):
            return self.foul(action)
        self.moves, self.fouls = self.moves + 1, 0
        pay = self.pay(action == f"[{('no', 'yes')[self.secret]}]")
        over = self.moves == 2
        return Turn(0, ((Note(f"Now you have {pay}."),),), YES_NO, (pay,), over=over, reason="Done." if over else "")

    def foul(self, action: str) -> Turn:
        self.fouls += 1
        over = self.fouls == 2
        return Turn(0, ((Note("Not so."),),), YES_NO, invalid=True, over=over, reason="Fouls." if over else "")

    def pay(self, right: bool) -> float:
        return right / 2

    def cut_off(self) -> tuple[float, ...]:
        return (0.0,)


def spec(game: type[Fake], **changes) -> EnvSpec:
    declared = EnvSpec("Fake-v0", lambda: None, 1, YES_NO, 4, (0.0, 1.0), "Fake", 0)  # type: ignore[arg-type]
    declared = replace(declared, **changes)
    build = changes.get("make") or (
        lambda: TextEnv(game, id="Fake-v0", seats=1, grammar=YES_NO, horizon=4, reward_range=(-9.0, 9.0))
    )
    return replace(declared, make=build)


def failures(report: Report) -> dict[str, str]:
    return {row.check: row.detail for row in report.rows if not row.passed}


def test_a_third_partys_game_passes():
    assert check_env(spec(Fake)).passed


class Rich(Fake):
    def pay(self, right: bool) -> float:
        return 1.0


class Careless(Fake):
    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        return super().begin(random.randrange(10**6))


class Unseeded(Fake):
    def begin(self, seed: int) -> tuple[tuple[str, ...], Turn]:
        return super().begin(0)


class Fragile(Fake):
    def foul(self, action: str) -> Turn:
        raise KeyError(action)


class Silent(Fake):
    told = "Your move."

    def foul(self, action: str) -> Turn:
        return replace(super().foul(action), notes=((),))


class Patient(Fake):
    def foul(self, action: str) -> Turn:
        return replace(super().foul(action), over=False)

    def play(self, action: str) -> Turn:
        return replace(super().play(action), over=False)


class Strict(Fake):
    def play(self, action: str) -> Turn:
        return self.foul(action)


@pytest.mark.parametrize(
    ("game", "changes", "check", "words"),
    [
        (Rich, {}, "rewards in range", "leave 0.0 to 1.0"),
        (Careless, {}, "same seed, same game", "differ"),
        (Careless, {}, "global randomness untouched", "changes the global random state"),
        (Unseeded, {}, "other seeds, other games", "same game"),
        (Fake, {"seeded": False}, "other seeds, other games", "seeded=False"),
        (Fragile, {}, "illegal moves", "KeyError"),
        (Silent, {}, "illegal moves", "not told"),
        (Strict, {}, "grammar", "refused all"),
        (Fake, {"horizon": 1}, "ends within its horizon", "horizon is 1"),
        (Fake, {"seats": 2}, "describes itself", "1 seats, not 2"),
        (Fake, {"reward_range": (1.0, 1.0)}, "describes itself", "empty"),
        (Fake, {"examples": ("[perhaps]",)}, "grammar", "perhaps"),
    ],
)
def test_broken_promises_are_found(game: type[Fake], changes: dict[str, object], check: str, words: str):
    found = failures(check_env(spec(game, **changes)))
    assert words in found.get(check, ""), found


def test_a_game_without_end_is_cut_off_at_its_horizon():
    report = check_env(spec(Patient))
    ends = next(row for row in report.rows if row.check == "ends within its horizon")
    assert "cut off" in ends.detail


def test_an_environment_that_cannot_be_built_fails_in_rows():
    def make():
        raise OSError("no board")

    report = check_env(spec(Fake, make=make))
    assert not report.passed
    assert "no board" in failures(report)["describes itself"]


def test_a_game_that_lets_a_seat_go_without_a_word_is_found():
    found = failures(check_env(deserting()))
    assert found["ends within its horizon"] == "player_0 left the game without being told that it was over"


def test_a_game_that_does_not_answer_is_asked_no_more():
    report = check_env(stuck())
    assert not report.passed
    assert [row.passed for row in report.rows] == [True, False]
    assert "did not answer within 0.3 s" in report.rows[-1].detail
