"""G-Memory: when it asks what, whose votes move, what the graph joins, what is shown. Evolver and reader are fakes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anyio
import numpy as np
import pytest

from agents.guide import State
from agents.models.model import Request
from tests.support.fake_evolver import FakeModel, kind_of
from tests.support.lessons import RULES, episode, fake, learn, said, seat
from transfer.memories.notes.insights import Insight
from transfer.memories.notes.query_graph import GMemory, Query, reachable
from transfer.memory.memory import Unit
from transfer.registry import load_memory

ADD = {"operations": [{"operation": "ADD", "number": 0, "rule": "Mind the step."}]}


def writer(operations: Any = ADD, merged: Sequence[str] = ("One rule.",)) -> FakeModel:
    """Says the same every time."""
    answers = {
        "KeySteps": {"steps": ["Go in.", "Take it."]},
        "Mistake": {"mistake": "Too late."},
        "Operations": operations,
        "MergedRules": {"rules": list(merged)},
    }
    return fake(lambda kind, prompt: answers[kind])


def asked(model: FakeModel) -> Counter[str]:
    return Counter(map(kind_of, model.requests))


def games(first: int, count: int, *, solved: bool = True, units: Sequence[str] = (), sight: str = "A hall."):
    return [
        episode(f"{number:02}", "look", f"take {number}", solved=solved, seed=number, units=units, sight=sight)
        for number in range(first, first + count)
    ]


def recalled(memory: GMemory, sight: str = "A hall.", **about: Any) -> list[Unit]:
    found = anyio.run(memory.recall, seat(**about), State(RULES, (), sight))
    units = {unit.id: unit for unit in memory.units}
    return [units[id] for id in found.units]


def moves(units: Sequence[Unit]) -> list[str]:
    """The trajectories shown, by their numbers."""
    return [unit.trajectories[0][:2] for unit in units if unit.kind == "episode"]


class Compass:
    """An embedder that reads an angle in degrees: likeness is the cosine of the difference."""

    def embed(self, texts: Sequence[str]) -> Any:
        angles = np.radians([float(text) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


# -- writing -----------------------------------------------------------------------------------------------------


def test_when_it_asks_what():
    """A call an episode, another for a failed one; at the fifth five anchors, with a comparison and a chunk each."""
    model = writer()
    learn("g_memory", games(0, 3), games(3, 1, solved=False), evolver=model)
    assert asked(model) == {"KeySteps": 4, "Mistake": 1}
    model = writer()
    after = learn("g_memory", [*games(0, 3), *games(3, 2, solved=False)], evolver=model)
    assert (asked(model)["KeySteps"], asked(model)["Mistake"]) == (5, 2)
    assert 10 <= asked(model)["Operations"] <= 15, "of two failures one anchor may be the second"
    assert [insight.rule for insight in after.memory.rules] == ["Mind the step."]
    assert after.memory.rules[0].score == 2, "an addition that is there already is none"


def test_an_insight_that_was_shown_when_a_game_failed_right_after_its_birth_is_gone():
    before = learn("g_memory", games(0, 5), evolver=writer())
    (insight,) = [unit for unit in before.memory.units if unit.kind == "insight"]
    after = learn("g_memory", games(5, 1, solved=False, units=[insight.id]), evolver=writer(), start=before.state)
    assert after.memory.rules == []
    assert [(event.skill, event.action) for event in said(after.events, "unit")][-1] == (insight.id, "dropped")


def test_an_insight_that_was_shown_in_two_successes_scores_4():
    before = learn("g_memory", games(0, 5), evolver=writer())
    insight = before.memory.units[-1]
    after = learn("g_memory", games(5, 2, units=[insight.id]), evolver=writer(), start=before.state)
    assert [each.score for each in after.memory.rules] == [4]
    assert [event.value for event in said(after.events, "unit") if event.action == "voted"] == [3, 4]
    other = learn("g_memory", games(5, 2), evolver=writer(), start=before.state)
    assert [each.score for each in other.memory.rules] == [2], "not shown, not moved"


def test_votes_follow_an_insight_through_its_rewording():
    """Nine played with the old words; at the tenth they change, and that game's vote is the new words'."""
    edit = {"operations": [{"operation": "EDIT", "number": 1, "rule": "Better words."}]}
    state = learn("g_memory", games(0, 5), evolver=writer()).state
    known = Insight(number=1, rule="Old words.", support=tuple(f"{number:02}/player_0" for number in range(10)))
    state = replace(state, memory=state.memory.with_insights([known]))  # pyright: ignore[reportAttributeAccessIssue]
    (old,) = [unit for unit in state.memory.units if unit.kind == "insight"]
    after = learn("g_memory", [*games(5, 4), *games(9, 1, units=[old.id])], evolver=writer(edit), start=state)
    unit = after.memory.units[-1]
    assert unit.text == "Better words."
    assert said(after.events, "unit")[-1].skill == unit.id
    votes = [event.value for event in said(after.events, "unit") if event.action in ("voted", "rewritten")]
    assert after.memory.rules[0].score == votes[-1] == votes[-2] + 1


def test_the_graph_joins_a_cosine_of_9_and_not_of_8():
    """Of unit vectors, the angle whose cosine it is."""
    angles = [0.0, float(np.degrees(np.arccos(0.9))), float(-np.degrees(np.arccos(0.8)))]
    batch = [episode(str(n), "look", solved=True, sight=str(angle)) for n, angle in enumerate(angles)]
    memory = learn("g_memory", batch, evolver=writer(), embedder=Compass()).memory
    joined = {query.trajectory[0]: [name[0] for name in query.neighbours] for query in memory.queries.values()}
    assert joined == {"0": [], "1": ["0"], "2": []}


def test_an_edge_has_no_direction_and_a_hop_is_one_edge():
    chain = [
        Query(trajectory=name, success=True, key_steps=(), neighbours=neighbours)
        for name, neighbours in (("a", ()), ("b", ("a",)), ("c", ("b",)), ("d", ()))
    ]
    assert reachable(chain, ["a"], 0) == {"a"}
    assert reachable(chain, ["a"], 1) == {"a", "b"}
    assert reachable(chain, ["b"], 1) == {"a", "b", "c"}
    assert reachable(chain, ["a"], 2) == {"a", "b", "c"}


def test_useless_key_steps_or_a_useless_mistake_leave_no_episode():
    def answer(kind: str, prompt: str) -> Any:
        return {"steps": ["Go."]} if kind == "KeySteps" and "take" in prompt else "nonsense"

    bad = episode("9", "look", solved=True)
    after = learn("g_memory", [*games(0, 1), *games(1, 1, solved=False), bad], evolver=fake(answer))
    assert moves(after.memory.units) == ["00"]
    assert [event.trajectories for event in said(after.events, "skipped")] == [("01/player_0",), ("9/player_0",)]


@pytest.mark.parametrize("digits", ["stripped", "kept"])
def test_writers_are_told_the_digits_where_the_study_says_so_and_players_always(digits):
    model = writer()
    memory = learn("g_memory", games(42, 1), evolver=model, choices={"digits": digits}).memory
    assert ("take 42" in model.requests[0].messages[1].content) == (digits == "kept")
    assert "take 42" in memory.units[0].text
    assert "1. Go in.\n2. Take it." in memory.units[0].text


def test_steps_that_were_punished_are_left_out_of_a_success():
    game = episode("1", "look", "stumble", "take", solved=True)
    punished = [step.model_copy(update={"reward": -1.0}) if step.action == "stumble" else step for step in game.steps]
    memory = learn("g_memory", [game.model_copy(update={"steps": tuple(punished)})], evolver=writer()).memory
    assert "Move: stumble" not in memory.units[0].text
    assert "Move: take" in memory.units[0].text


def test_a_failure_is_kept_with_what_was_wrong():
    memory = learn("g_memory", games(1, 1, solved=False), evolver=writer()).memory
    assert memory.units[0].text.endswith("What was wrong: Too late.")


@pytest.mark.parametrize(("merged", "limit"), [("ninth", "at most 1,"), ("third", "at most 2,")])
def test_at_the_twentieth_the_insights_of_a_cluster_become_fewer(merged, limit):
    rules = iter(range(100))

    def answer(kind: str, prompt: str) -> Any:
        if kind == "Operations":
            number = next(rules)
            return (
                {"operations": [{"operation": "ADD", "number": 0, "rule": f"Rule <{number}>."}]}
                if number < 6
                else {"operations": []}
            )
        return {"KeySteps": {"steps": ["Go."]}, "MergedRules": {"rules": ["All in one."]}}[kind]

    model = fake(answer)
    memory = learn("g_memory", games(0, 20), evolver=model, choices={"merged": merged}).memory
    (request,) = [request for request in model.requests if kind_of(request) == "MergedRules"]
    assert limit in request.messages[1].content
    assert request.messages[1].content.count("Rule <") == 6
    (insight,) = memory.rules
    assert (insight.rule, insight.score, len(insight.support)) == ("All in one.", 2, 20)


def test_useless_merging_keeps_the_insights():
    rules = iter(range(100))

    def answer(kind: str, prompt: str) -> Any:
        if kind == "Operations":
            return {"operations": [{"operation": "ADD", "number": 0, "rule": f"Rule <{next(rules)}>."}]}
        return {"steps": ["Go."]} if kind == "KeySteps" else "nonsense"

    after = learn("g_memory", games(0, 20), evolver=fake(answer))
    assert len(after.memory.rules) > 1
    assert said(after.events, "skipped")


def test_learning_goes_on_from_its_file_as_it_would_have_gone_on():
    rules = iter(range(100))

    def answer(kind: str, prompt: str) -> Any:
        if kind == "Operations":
            return {"operations": [{"operation": "ADD", "number": 0, "rule": f"Rule {next(rules) % 7} of many."}]}
        return {"KeySteps": {"steps": ["Go."]}, "Mistake": {"mistake": "Late."}}[kind]

    before = learn("g_memory", [*games(0, 8), *games(8, 2, solved=False)], evolver=fake(answer))
    assert len(before.memory.rules) == 7
    read = replace(before.state, memory=load_memory(before.memory.dumps(), "m.json"))
    later = games(10, 5, units=[unit.id for unit in before.memory.units if unit.kind == "insight"])
    one, other = (learn("g_memory", later, evolver=writer(), start=state) for state in (before.state, read))
    assert one.memory.dumps() == other.memory.dumps()
    assert one.events == other.events


# -- reading -----------------------------------------------------------------------------------------------------


def scorer(scores: dict[str, int]) -> FakeModel:
    def answer(request: Request) -> str:
        text = request.messages[-1].content
        return json.dumps({"score": next(score for move, score in scores.items() if move in text)})

    return FakeModel(answer, name="actor")


def test_of_two_candidates_the_one_that_the_model_finds_more_relevant_is_shown():
    memory = learn("g_memory", games(1, 4), evolver=writer()).memory
    model = scorer({"take 4": 3, "take 3": 8})
    assert moves(recalled(memory, model=model)) == ["03"]
    assert len(model.requests) == 2
    assert moves(recalled(memory, model=scorer({"take 4": 8, "take 3": 8}))) == ["04"], "of equal ones the likest"
    assert moves(recalled(memory, model=FakeModel(lambda request: "Hm."))) == ["04"]


def test_by_likeness_alone_nobody_is_asked():
    memory = learn("g_memory", games(1, 4), evolver=writer(), choices={"rank": "likeness"}).memory
    model = FakeModel(lambda request: pytest.fail("asked"))
    assert moves(recalled(memory, model=model)) == ["04"]


def test_failures_are_shown_where_the_study_says_so():
    batch = [*games(1, 2), *games(3, 2, solved=False)]
    choices = {"rank": "likeness", "failures": 1}
    assert moves(recalled(learn("g_memory", batch, evolver=writer(), choices=choices).memory)) == ["02", "04"]
    assert moves(recalled(learn("g_memory", batch, evolver=writer(), choices={"rank": "likeness"}).memory)) == ["02"]


def test_what_is_less_alike_than_the_threshold_is_not_shown():
    batch = [*games(1, 1, sight="A cellar."), *games(2, 1, sight="A bright garden.")]
    choices = {"rank": "likeness", "successes": 2, "threshold": 0.9}
    memory = learn("g_memory", batch, evolver=writer(), choices=choices).memory
    assert moves(recalled(memory, "A cellar.")) == ["01"]


def test_the_insights_for_which_most_of_the_likest_games_speak():
    """Of six: four successes and two failures."""
    memory = learn("g_memory", games(1, 4), evolver=writer(), choices={"rank": "likeness", "insights": 2}).memory
    supports = {"Three.": ["01", "02", "03"], "None.": [], "One.": ["04"], "Two.": ["01", "02"]}
    insights = [
        Insight(number=number, rule=rule, support=tuple(f"{name}/player_0" for name in names))
        for number, (rule, names) in enumerate(supports.items(), 1)
    ]
    held = memory.with_insights(insights)
    assert [unit.text for unit in recalled(held) if unit.kind == "insight"] == ["Three.", "Two."]
    assert held.units[-1].env_seeds == (1, 2)
    assert "Three." not in [unit.text for unit in recalled(held, env_seed=3)], "made from the game that is evaluated"
