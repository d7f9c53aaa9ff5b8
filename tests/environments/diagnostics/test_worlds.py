"""Our own worlds pay what their closed forms say."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from environments.diagnostics.doors import COLOURS, INVERTED, RULE, SIGNS
from environments.diagnostics.levers import CHANCES, expected_return
from environments.registry import ENVIRONMENTS

Policy = Callable[[str], str]
SEEDS = 300


def play(id: str, policy: Policy, seed: int) -> tuple[float, str]:
    env = ENVIRONMENTS[id].make()
    env.reset(seed=seed)
    total = 0.0
    while True:
        observation, reward, terminated, _, info = env.last()
        total += reward
        if terminated:
            return total, info["reason"]
        env.step(policy(observation["text"]))


def text(env) -> str:
    return env.observe("player_0")["text"]


def mean(id: str, policy: Policy, seeds: int = SEEDS) -> float:
    return float(np.mean([play(id, policy, seed)[0] for seed in range(seeds)]))


def by(rule) -> Policy:
    """Answers the sign asked for, which is the one mentioned last."""
    return lambda text: f"[{rule[max(SIGNS, key=text.rfind)]}]"


@pytest.mark.parametrize("id", ["Doors-v0", "Doors-v0-reworded", "Doors-v0-long"])
def test_siblings_share_the_rule(id: str):
    assert mean(id, by(RULE), 20) == pytest.approx(1)
    assert mean(id, by(INVERTED), 20) == 0


def test_the_inverted_sibling_makes_every_old_answer_wrong():
    assert mean("Doors-v0-inverted", by(RULE), 20) == 0
    assert mean("Doors-v0-inverted", by(INVERTED), 20) == pytest.approx(1)


@pytest.mark.parametrize("id", ["Doors-v0", "Doors-v0-reworded", "Doors-v0-long", "Doors-v0-inverted"])
@pytest.mark.parametrize("colour", COLOURS)
def test_one_answer_for_all_pays_exactly_a_quarter(id: str, colour: str):
    assert {play(id, lambda _: f"[{colour}]", seed)[0] for seed in range(10)} == {0.25}


@pytest.mark.parametrize("id", ["Doors-v0-chance", "OneDoor-v0-chance"])
@pytest.mark.parametrize("policy", [by(RULE), by(INVERTED), lambda _: "[red]"])
def test_nothing_helps_against_chance(id: str, policy: Policy):
    standard_error = np.sqrt(0.25 * 0.75 / 4 / SEEDS)
    assert abs(mean(id, policy) - 0.25) < 4 * standard_error


@pytest.mark.parametrize(
    ("id", "right"), [("OneDoor-v0", "green"), ("OneDoor-v0-reworded", "green"), ("OneDoor-v0-inverted", "blue")]
)
def test_one_door_is_always_right_and_told_only_at_the_end(id: str, right: str):
    assert {colour: play(id, lambda _, colour=colour: f"[{colour}]", 3)[0] for colour in COLOURS} == {
        colour: float(colour == right) for colour in COLOURS
    }
    env = ENVIRONMENTS[id].make()
    env.reset(seed=0)
    for _ in range(3):
        env.step("[red]")
        assert not any(word in text(env) for word in ("right", "wrong", "Right", "Wrong", "correct"))
    env.step("[red]")
    assert right in env.infos["player_0"]["reason"]


def test_the_right_doors_of_chance_do_not_depend_on_the_answers():
    def told(policy: Policy, seed: int) -> list[str]:
        return re.findall(r"right door for (\w+) was (\w+)", play("Doors-v0-chance", policy, seed)[1])

    assert all(told(by(RULE), seed) == told(lambda _: "[red]", seed) for seed in range(20))


def test_feedback_names_the_right_door_and_comes_last_where_signs_return():
    env = ENVIRONMENTS["Doors-v0"].make()
    env.reset(seed=0)
    sign = next(sign for sign in SIGNS if sign in env.observe("player_0")["text"])
    env.step(f"[{RULE[sign]}]")
    assert env.observe("player_0")["text"].startswith(
        f"Right. The right door for {sign} was {RULE[sign]}. Round 2 of 4."
    )
    env = ENVIRONMENTS["Doors-v0-long"].make()
    env.reset(seed=0)
    env.step("[red]")
    assert env.observe("player_0")["text"].startswith("Round 2 of 8.")
    for _ in range(7):
        env.step("[red]")
    assert all(f"{sign} was {RULE[sign]}" in env.infos["player_0"]["reason"] for sign in SIGNS)
    assert env.infos["player_0"]["reason"].endswith(
        "2 of 8 right. Looking back: if the sign shows owl, the right door is green; if key, blue; if bell, black; "
        "if ship, red."
    )


def test_answers_may_be_wrapped_in_words_but_not_missing():
    env = ENVIRONMENTS["Doors-v0"].make()
    env.reset(seed=0)
    env.step("I think [purple]? No: [red].")
    assert env.infos["player_0"]["invalid"] == 0
    env.step("red")
    assert env.infos["player_0"]["invalid"] == 1
    assert "no valid answer" in env.observe("player_0")["text"]
    assert "Round 2 of 4" in env.observe("player_0")["text"]
    env.step("red")
    assert env.terminations["player_0"]


def test_levers_pay_their_closed_form():
    rng = np.random.default_rng(5)
    probabilities = np.exp(rng.normal(size=5))
    probabilities /= probabilities.sum()
    levers = list(CHANCES)

    def pull(_: str) -> str:
        return f"[{levers[rng.choice(5, p=probabilities)]}]"

    expected = float(expected_return(probabilities))
    standard_error = np.sqrt(expected * (1 - expected) / 5 / SEEDS)
    assert abs(mean("Lever-v0", pull) - expected) < 4 * standard_error


def test_expected_return_takes_many_policies_at_once():
    assert expected_return(np.eye(5)).tolist() == list(CHANCES.values())
    assert expected_return([[0.2] * 5, [0, 0, 0, 0, 1]]).tolist() == pytest.approx([0.5, 0.9])


def test_a_better_lever_pays_whenever_a_worse_one_does():
    for seed in range(30):
        totals = [play("Lever-v0", lambda _, lever=lever: f"[{lever}]", seed)[0] for lever in CHANCES]
        assert totals == sorted(totals)


def test_repeating_is_what_hurts():
    def fresh(text: str) -> str:
        return f"[{text.split('Opening ')[1][0]}]"

    assert mean("Repeat-v0", fresh) == pytest.approx(0.75, abs=4 * 0.16 / np.sqrt(SEEDS))
    assert mean("Repeat-v0", lambda _: "[5]") == pytest.approx(0.125, abs=4 * 0.125 / np.sqrt(SEEDS))


def test_the_dial_pays_by_closeness():
    def gauge(text: str) -> int:
        return int(re.search(r"gauge reads (\d+)", text)[1])  # type: ignore[index]

    assert mean("Dial-v0", lambda text: f"[{1 - gauge(text) / 100:.2f}]", 20) == pytest.approx(1)
    near = play("Dial-v0", lambda text: f"[{min(1.0, 1 - gauge(text) / 100 + 0.02):.2f}]", 3)[0]
    far = play("Dial-v0", lambda text: f"[{min(1.0, 1 - gauge(text) / 100 + 0.20):.2f}]", 3)[0]
    assert 1 > near > far
    assert mean("Dial-v0", lambda _: "[0.50]") == pytest.approx(1 - 11 / 42, abs=0.02)
