"""The options loop: one skill at a time, kept until it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.guide import NoGuide, State
from agents.models.model import Completion
from agents.models.scripted import scripted
from agents.options import TERMINATIONS, ByAge, ByJudgement, EpsilonGreedy, Greedy, SkillOptions
from agents.selection import Selection
from environments.grammar import Choices
from transfer.memory.seed_pool import SEEDS

STATE = State("rules", (), "here")


@dataclass
class Scheduled:
    """β and μ by a list: fakes that say what they were asked."""

    ends: list[bool] = field(default_factory=list)
    picks: list[int | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def done(self, skill, state):
        self.asked.append("done")
        return (self.ends.pop(0) if self.ends else False), 1

    async def select(self, state, skills, rng):
        self.asked.append("select")
        pick = self.picks.pop(0) if self.picks else 0
        return Selection(None if pick is None else skills[pick], calls=2)


def play(steps, script, skills=SEEDS[:3], **options):
    loop = SkillOptions(skills, script, script, np.random.default_rng(0), **options)

    async def main():
        return [await loop.guide(STATE) for _ in range(steps)]

    return anyio.run(main)


def test_a_skill_is_kept_until_beta_says_stop():
    script = Scheduled(ends=[False, True, False], picks=[1, 2])
    first, second, third, fourth = play(4, script)
    assert [each.skill for each in (first, second, third, fourth)] == [
        SEEDS[1].id, SEEDS[1].id, SEEDS[2].id, SEEDS[2].id,
    ]  # fmt: skip
    assert [each.started for each in (first, second, third, fourth)] == [True, False, True, False]
    assert [each.calls for each in (first, second, third, fourth)] == [2, 1, 3, 1]
    assert script.asked == ["select", "done", "done", "select", "done"]
    assert first.units == (SEEDS[1].id,)
    assert SEEDS[1].procedure in first.text


def test_at_its_greatest_age_a_skill_hands_back_without_being_asked():
    script = Scheduled(picks=[0, 1])
    steps = play(5, script, max_age=3)
    assert [step.started for step in steps] == [True, False, False, True, False]
    assert script.asked == ["select", "done", "done", "select", "done"]
    assert [step.calls for step in steps] == [2, 1, 1, 2, 1]


def test_none_is_a_choice_of_one_step():
    script = Scheduled(picks=[None, None, 0])
    steps = play(4, script)
    assert [step.skill for step in steps] == [None, None, SEEDS[0].id, SEEDS[0].id]
    assert [step.started for step in steps] == [False, False, True, False]
    assert steps[0].text == ""
    assert steps[0].units == ()
    assert steps[0].calls == 2


def test_without_skills_nothing_is_asked():
    script = Scheduled()
    assert all(step.calls == 0 and step.skill is None for step in play(3, script, skills=()))
    assert script.asked == []


@given(
    st.lists(st.booleans(), max_size=20),
    st.lists(st.none() | st.integers(0, 2), max_size=20),
    st.integers(1, 5),
    st.integers(0, 25),
)
def test_the_loop_whatever_beta_and_mu_say(ends, picks, max_age, count):
    script = Scheduled(ends=list(ends), picks=list(picks))
    steps = play(count, script, max_age=max_age)
    age, active = 0, None
    for step in steps:
        if step.started:
            age, active = 0, step.skill
        age += 1
        assert age <= max_age or step.skill is None
        assert step.skill in (active, None)
        if step.skill is None:
            active = None
            assert not step.started
        assert (step.skill is not None) == bool(step.text) == bool(step.units)
    assert sum(step.calls for step in steps) == script.asked.count("done") + 2 * script.asked.count("select")
    assert script.asked.count("select") <= count


@pytest.mark.parametrize(("epsilon", "share"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_exploration_takes_its_share_of_the_choices(epsilon, share):
    script = Scheduled()
    steps = play(4000, script, exploration=EpsilonGreedy(epsilon), max_age=1)
    assert np.mean([step.explored for step in steps]) == pytest.approx(share, abs=0.03)
    explored = [step for step in steps if step.explored]
    if explored:
        shares = [np.mean([step.skill == each for step in explored]) for each in (None, *(s.id for s in SEEDS[:3]))]
        assert shares == pytest.approx([0.25] * 4, abs=0.05)
        assert all(step.calls == 0 for step in explored)


def test_exploration_waits_until_no_skill_is_active():
    steps = play(30, Scheduled(), exploration=EpsilonGreedy(1.0), max_age=5)
    assert all(step.started or not step.explored or step.skill is None for step in steps)
    assert any(not step.explored for step in steps)


def test_greedy_never_explores():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    assert Greedy().explore(SEEDS, rng) is None
    assert rng.bit_generator.state == before


@pytest.mark.parametrize(("answer", "over"), [("stop", True), ("continue", False), ("", False), ("Stop!", False)])
def test_beta_is_asked_in_one_call_under_a_grammar_of_two_words(answer, over):
    model = scripted("random")
    asked = []

    async def generate(request):
        asked.append(request)
        return Completion(answer, 1, 1)

    model.generate = generate
    assert anyio.run(ByJudgement(model).done, SEEDS[0], STATE) == (over, 1)
    (request,) = asked
    assert request.grammar == Choices(("continue", "stop"))
    assert request.sampling.temperature == 0
    assert SEEDS[0].text in request.messages[0].content
    assert STATE.observation in request.messages[0].content


def test_by_age_asks_nobody():
    assert anyio.run(ByAge().done, SEEDS[0], STATE) == (False, 0)
    assert set(TERMINATIONS) == {"judgement", "age"}


def test_no_guide_says_nothing():
    guidance = anyio.run(NoGuide().guide, STATE)
    assert (guidance.text, guidance.units, guidance.calls) == ("", (), 0)


def test_terminations_by_name_and_the_age_of_the_official_code():
    model = scripted("random")
    assert isinstance(TERMINATIONS["judgement"](model), ByJudgement)
    assert TERMINATIONS["judgement"](model).model is model
    assert isinstance(TERMINATIONS["age"](model), ByAge)
    steps = play(17, Scheduled())
    assert [index for index, step in enumerate(steps) if step.started] == [0, 8, 16]


def test_a_skill_is_worded_as_told():
    (step,) = play(1, Scheduled(), wording=lambda skill: f"* {skill.name}")
    assert step.text == f"* {SEEDS[0].name}"
