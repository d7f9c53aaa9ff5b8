"""AWM: what stands in the induction prompt, and what becomes of the workflows. The evolver is a fake."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from agents.guide import State
from agents.models.model import ModelCard
from tests.support.fake_evolver import FakeModel
from tests.support.lessons import RULES, advice, episode, fake, learn, said, seat


def workflow(goal: str) -> dict[str, Any]:
    step = {"state": "a door", "reasoning": "it is shut", "action": "open {door}"}
    return {"goal": goal, "steps": [step, step | {"action": "enter {room}"}]}


class Inducer:
    """Writes one workflow a call, named by the number of the call, and remembers what it was asked."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.model = fake(self._answer)

    def _answer(self, kind: str, prompt: str) -> Any:
        assert kind == "Workflows"
        self.prompts.append(prompt)
        return {"workflows": [workflow(f"Goal {len(self.prompts)}.")]}


def won(id: str, move: str, **about: Any):
    return episode(id, move, "leave", solved=True, **about)


def lost(id: str, move: str):
    return episode(id, move, "leave", solved=False)


def test_the_induction_sees_the_successes_and_nothing_else():
    inducer = Inducer()
    after = learn("awm", [won("1", "take axe"), lost("2", "take bread"), won("3", "take cup")], evolver=inducer.model)
    (prompt,) = inducer.prompts
    assert "take axe" in prompt
    assert "take cup" in prompt
    assert "take bread" not in prompt
    assert after.memory.archive == ("1/player_0", "3/player_0")
    assert [unit.trajectories for unit in after.memory.units] == [("1/player_0", "3/player_0")]
    assert {request.sampling.temperature for request in inducer.model.requests} == {1.0}
    assert {request.sampling.max_tokens for request in inducer.model.requests} == {2048}


def test_a_second_induction_replaces_the_first_and_sees_all_successes():
    inducer = Inducer()
    after = learn("awm", [won("2", "take axe")], [won("1", "take cup")], evolver=inducer.model)
    assert [unit.key for unit in after.memory.units] == ["Goal 2."]
    assert [event.action for event in said(after.events, "unit")] == ["dropped", "written"]
    second = inducer.prompts[1]
    assert second.index("take cup") < second.index("take axe"), "sorted by id, whichever came first"


def test_without_successes_it_stays_as_it_was_and_nobody_is_asked():
    inducer = Inducer()
    before = learn("awm", [won("1", "take axe")], evolver=inducer.model)
    after = learn("awm", [lost("2", "take bread")], start=before.state)
    assert after.memory == before.memory


def test_all_of_it_is_shown_whatever_is_seen():
    answer = {"workflows": [workflow("Fetch water."), workflow("Light a fire.")]}
    memory = learn("awm", [won("1", "take axe")], evolver=fake(lambda kind, prompt: answer)).memory
    text = advice(memory, "A desert.")
    assert text.index("Workflow: Fetch water.") < text.index("Workflow: Light a fire.")
    assert "1. Seen: a door Thought: it is shut Move: open {door}\n2. Seen" in text


def test_appended_workflows_stay_and_the_likest_are_shown():
    goals = iter(["Fetch water from a well.", "Light a fire in a cave.", "Fetch water from a well."])
    evolver = fake(lambda kind, prompt: {"workflows": [workflow(next(goals))]})
    choices = {"writing": "append", "k": 1}
    games = [won("1", "take axe", seed=1), won("2", "take cup", seed=2), won("3", "take bow", seed=3)]
    after = learn("awm", games[:1], games[1:], evolver=evolver, choices=choices)
    assert [unit.env_seeds for unit in after.memory.units] == [(1, 3), (2,)]
    assert len(evolver.requests) == 3
    recalled = anyio.run(after.memory.recall, seat(), State(RULES, (), "A dark cave without a fire."))
    assert recalled.units == (after.memory.units[1].id,)


def test_a_useless_answer_changes_no_workflow_and_its_successes_are_asked_about_again():
    first, second, third = ([won(str(number), f"take {number}")] for number in (1, 2, 3))
    useful = {"workflows": [workflow("First.")]}

    def evolver(*answers: Any):
        given = iter(answers)
        return fake(lambda kind, prompt: next(given))

    refused = learn("awm", first, second, evolver=evolver(useful, "Sorry.", "Sorry again."))
    assert [unit.key for unit in refused.memory.units] == ["First."]
    assert [event.trajectories for event in said(refused.events, "skipped")] == [("1/player_0", "2/player_0")]
    after = learn("awm", first, second, third, evolver=evolver(useful, "Sorry.", "Sorry again.", useful))
    assert after.memory.units[0].trajectories == ("1/player_0", "2/player_0", "3/player_0")


@pytest.mark.parametrize(("games", "shown"), [(3, [0, 1, 2]), (12, [0, 4, 8])])
def test_where_the_evolver_has_not_room_for_all_they_are_taken_evenly(games, shown):
    class Narrow(FakeModel):
        @property
        def card(self) -> ModelCard:
            return ModelCard("narrow", "fake", "fake", "", "exact", 2048 + 310)

    prompts: list[str] = []

    def answer(request):
        prompts.append(request.messages[-1].content)
        return ""

    learn(
        "awm",
        [won(f"{number:02}", f"take {number:02} " + "word " * 20) for number in range(games)],
        evolver=Narrow(answer),
    )
    assert [number for number in range(games) if f"take {number:02}" in prompts[0]] == shown
